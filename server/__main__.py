"""`python -m layerfusion.server`: the command line where no script is installed."""

import sys

from layerfusion.server.cli import main

sys.exit(main())
