"""`python -m bigflow`."""

import sys

from bigflow.cli import main

if __name__ == "__main__":
    sys.argv[0] = "bigflow"  # a job can read sys.argv: it is that of the command, as in BigFlow
    sys.exit(main())
