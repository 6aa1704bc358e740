"""`python -m bigflow_backend`, which runs even if BigFlow has overwritten `bigflow`."""

import sys

from bigflow_backend.command import main

if __name__ == "__main__":
    sys.exit(main())
