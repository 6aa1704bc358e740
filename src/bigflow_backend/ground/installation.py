"""Check of the installation: the distribution BigFlow has an import package of the same name.

Nothing here imports ``bigflow``: its files may be those of BigFlow.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from bigflow_backend.ground.errors import UserError

_ONLY_BIGFLOW_HAS = "dagbuilder.py"
_OURS = ("cli.py", "__main__.py", "job.py", "describe/command.py")


def check_installation() -> None:
    """Check that the files of ``bigflow`` are those of this distribution.

    :raises UserError: if BigFlow is installed beside it, or has taken files with it.
    """
    spec = find_spec("bigflow")
    places = [Path(place) for place in (spec and spec.submodule_search_locations) or ()]
    reinstall = f"{sys.executable} -m pip install --force-reinstall --no-deps bigflow-backend"
    if any((place / _ONLY_BIGFLOW_HAS).is_file() for place in places):
        raise UserError(
            f"BigFlow and bigflow-backend are both installed in {places[0].parent}, and overwrite "
            "each other's files",
            hint=f"{sys.executable} -m pip uninstall bigflow && {reinstall}",
        )
    if not places or not all((places[0] / name).is_file() for name in _OURS):
        raise UserError(
            "files of bigflow-backend are missing; did `pip uninstall bigflow` remove them?",
            hint=reinstall,
        )
