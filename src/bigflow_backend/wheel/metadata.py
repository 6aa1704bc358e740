"""Distribution -> ``.dist-info``, written by setuptools.

https://packaging.python.org/en/latest/specifications/core-metadata/
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import has_file
from bigflow_backend.ground.limits import PROJECT_FILE

if TYPE_CHECKING:
    from setuptools import Distribution


def write_metadata(distribution: Distribution, directory: Path) -> Path:
    """Write ``<name>-<version>.dist-info`` into the existing ``directory``, and return its path.

    :raises UserError: if setuptools refuses the metadata.
    """
    from setuptools.errors import BaseError

    from bigflow_backend.wheel.setuptools_commands import EggInfoWithoutSources

    distribution.cmdclass.setdefault("egg_info", EggInfoWithoutSources)
    command: Any = distribution.get_command_obj("dist_info")
    command.output_dir = directory
    try:
        command.ensure_finalized()
        for name in getattr(distribution.metadata, "license_files", None) or ():
            has_file(Path(name), PROJECT_FILE)
        command.run()
    except (BaseError, ValueError) as error:
        raise UserError(
            f"setuptools refuses the project's metadata: {str(error).splitlines()[0]}",
            hint="fix the entry in project_setup.py or pyproject.toml",
        ) from error
    return Path(command.dist_info_dir)


def metadata_files(dist_info: Path) -> dict[str, bytes]:
    """Return the files of a ``.dist-info`` directory by their names in it, sorted."""
    return {
        path.relative_to(dist_info).as_posix(): path.read_bytes()
        for path in sorted(dist_info.rglob("*"))
        if path.is_file() and path.name != "RECORD"
    }
