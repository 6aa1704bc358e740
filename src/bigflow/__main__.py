"""`python -m bigflow`."""

import sys

from bigflow.cli import main

if __name__ == "__main__":
    sys.exit(main())
