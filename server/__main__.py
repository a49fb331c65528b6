"""`python -m server`: the command line where no script is installed."""

import sys

from server.cli import main

sys.exit(main())
