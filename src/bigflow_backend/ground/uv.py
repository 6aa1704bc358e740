"""The ``uv`` command."""

from __future__ import annotations

import shutil

from bigflow_backend.ground.errors import UserError


def find_uv(purpose: str) -> str:
    """Return the path of ``uv``: the one of the installed distribution, else the one on PATH.

    ``purpose`` is the subject of the message, such as ``"building an image without an engine"``.

    :raises UserError: if there is no uv.
    """
    try:
        from uv import find_uv_bin

        return find_uv_bin()
    except (ImportError, FileNotFoundError) as error:
        found = shutil.which("uv")
        if found is None:
            raise UserError(
                f"{purpose} needs uv, which is not installed",
                hint="pip install 'bigflow-backend[build]'",
            ) from error
        return found
