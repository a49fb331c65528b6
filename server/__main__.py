"""`python -m layerfusion.server`: the command line where no script is installed."""

import sys

from layerfusion.server.cli.main import main

sys.exit(main())
