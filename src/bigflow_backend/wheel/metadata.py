"""The ``.dist-info`` of a distribution, as setuptools writes it.

https://packaging.python.org/en/latest/specifications/core-metadata/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.project.setuptools_tables import dynamic_files
from bigflow_backend.wheel.content import Member

if TYPE_CHECKING:
    from setuptools import Distribution


def write_metadata(distribution: Distribution, directory: Path) -> Path:
    """Writes ``<name>-<version>.dist-info`` into ``directory``, which must exist; its path.

    :raises UserError: for metadata that setuptools refuses to write.
    """
    from setuptools.errors import BaseError

    from bigflow_backend.wheel.setuptools_commands import EggInfoWithoutSources

    distribution.cmdclass.setdefault("egg_info", EggInfoWithoutSources)
    command: Any = distribution.get_command_obj("dist_info")
    command.output_dir = directory
    try:
        command.ensure_finalized()
        command.run()
    except (BaseError, ValueError) as error:
        raise UserError(
            f"the project's metadata are refused: {str(error).splitlines()[0]}",
            hint="mend the entry in project_setup.py or pyproject.toml",
        ) from error
    return Path(command.dist_info_dir)


def metadata_members(dist_info_directory: Path) -> list[Member]:
    """The files of a ``.dist-info`` directory as members of a wheel, sorted by name."""
    parent = dist_info_directory.parent
    return [
        Member(name=path.relative_to(parent).as_posix(), path=str(path), executable=False)
        for path in sorted(dist_info_directory.rglob("*"))
        if path.is_file() and path.name != "RECORD"
    ]


def referenced_files(pyproject: Mapping[str, Any]) -> Iterator[str]:
    """The files that pyproject.toml reads metadata from, relative to the project."""
    table = pyproject.get("project", {})
    readme = table.get("readme")
    for value in (
        readme if isinstance(readme, str) else None,
        readme.get("file") if isinstance(readme, dict) else None,
        table["license"].get("file") if isinstance(table.get("license"), dict) else None,
    ):
        if isinstance(value, str):
            yield value
    yield from dynamic_files(pyproject)
