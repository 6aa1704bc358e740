"""The scripts ``bigflow`` and ``bf``, and `python -m bigflow_backend`.

They are here, because the distribution BigFlow overwrites ``bigflow/cli.py``.
"""

from __future__ import annotations

from bigflow_backend.ground.installation import check_installation
from bigflow_backend.ground.report import reported


def main() -> int:
    """Run the command line, and return the exit status."""
    with reported():
        check_installation()
    from bigflow.cli import main as run

    return run()
