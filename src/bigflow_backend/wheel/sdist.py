"""Project -> sdist, with the files that the wheel is built from and those of MANIFEST.in.

https://packaging.python.org/en/latest/specifications/source-distribution-format/
"""

from __future__ import annotations

import gzip
import io
import os
import stat
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.directories import scratch_directory
from bigflow_backend.ground.epoch import source_date_epoch
from bigflow_backend.ground.files import has_file, open_regular, replaced_file
from bigflow_backend.project.pyproject import metadata_files
from bigflow_backend.wheel.bill import BILL, bill_of_wheel
from bigflow_backend.wheel.config_settings import ConfigSettings
from bigflow_backend.wheel.content import archive_name, check_syntax, project_content
from bigflow_backend.wheel.distribution import read_stated
from bigflow_backend.wheel.imports import check_imports
from bigflow_backend.wheel.manifest_in import apply_manifest, is_left_behind
from bigflow_backend.wheel.metadata import write_metadata
from bigflow_backend.wheel.wheel import load

if TYPE_CHECKING:
    from setuptools import Distribution

    from bigflow_backend.project.project import Project
    from bigflow_backend.wheel.content import Content

_BUILD_FILES = ("pyproject.toml", "project_setup.py", "setup.py", "setup.cfg", "MANIFEST.in")
_READMES = ("README", "README.rst", "README.txt", "README.md")
_LAST = 2**32 - 1
_NO_SETTINGS = ConfigSettings()


def build_sdist(project: Project, directory: Path, settings: ConfigSettings = _NO_SETTINGS) -> Path:
    """Build the project's sdist in ``directory`` and return its path.

    :raises UserError: as :func:`build_wheel`. What cannot become a wheel is not published.
    """
    epoch = source_date_epoch()
    content = project_content(project)
    check_syntax(content.modules)
    check_imports(project, content.modules)
    distribution = load(project, content, read_stated(project), settings).distribution
    with scratch_directory() as temporary:
        dist_info = write_metadata(distribution, temporary)
        pkg_info = (dist_info / "METADATA").read_bytes()
        stem = dist_info.name.removesuffix(".dist-info")
    made = {"PKG-INFO": pkg_info}
    if (bill := bill_of_wheel(project)) is not None:
        made[BILL] = bill
    files = _files(project, distribution, content)
    target = directory / f"{stem}.tar.gz"
    with replaced_file(target) as new:
        _write(new, stem, files, made, epoch)
    return target


def _files(project: Project, distribution: Distribution, content: Content) -> list[str]:
    """Return sorted paths relative to the project, with forward slashes."""
    root = os.fspath(project.root)
    names = {os.path.relpath(m.path, root) for m in content.members}
    names |= {n for n in (*_BUILD_FILES, *_READMES) if has_file(project.root / n)}
    names |= set(getattr(distribution.metadata, "license_files", None) or ())
    names |= set(metadata_files(project.pyproject))
    names |= set(_imported_by_setup_script(project))
    for command in ("build_py", "build_ext", "build_clib", "build_scripts"):
        names |= _sources_of(distribution, command)
    names -= {"PKG-INFO", BILL}
    required = frozenset(n for n in names if (project.root / n).is_file())
    needed = _needed(project, required)
    packed = apply_manifest(project.root, required, needed)
    return sorted(n.replace(os.sep, "/") for n in packed)


def _imported_by_setup_script(project: Project) -> Iterator[str]:
    """Yield the modules of the project that this process has imported.

    Hidden files may have secrets, and deployment_config.py is not part of the package.
    """
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and Path(file).resolve().is_relative_to(project.root):
            name = os.path.relpath(Path(file).resolve(), project.root)
            hidden = name.startswith(".") or name == project.deployment_config.name
            if not hidden and not is_left_behind(name, project.root):
                yield name


def _sources_of(distribution: Distribution, command: str) -> set[str]:
    """Return the sources of extension modules and scripts, which only setuptools knows."""
    has = {
        "build_ext": distribution.has_ext_modules,
        "build_clib": distribution.has_c_libraries,
        "build_scripts": distribution.has_scripts,
    }.get(command)
    if has is None or not has():
        return set()
    found: Any = distribution.get_command_obj(command)
    found.ensure_finalized()
    return set(found.get_source_files())


def _needed(project: Project, names: frozenset[str]) -> frozenset[str]:
    packages = tuple(
        os.path.relpath(project.source / p, project.root) + os.sep for p in project.packages
    )
    return frozenset(
        n
        for n in names
        if n in _BUILD_FILES or n.startswith(packages) or n.startswith("resources" + os.sep)
    )


def _write(
    target: Path, stem: str, files: list[str], made: Mapping[str, bytes], epoch: int
) -> None:
    """Write the files of the project, and those that are ``made``, by their names."""
    # The header of gzip has a time of 32 bits (RFC 1952), and each member has its own time.
    with (
        target.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=min(epoch, _LAST)) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in files:
            with open_regular(Path(name)) as file:
                status = os.fstat(file.fileno())
                member = _member(f"{stem}/{archive_name(name)}", status.st_size, epoch)
                if status.st_mode & stat.S_IXUSR:  # as in the wheel
                    member.mode = 0o755
                archive.addfile(member, file)
        for name, text in made.items():
            archive.addfile(_member(f"{stem}/{name}", len(text), epoch), io.BytesIO(text))


def _member(name: str, size: int, epoch: int) -> tarfile.TarInfo:
    # Owner, group, mode and time of this machine would make the sdist differ.
    member = tarfile.TarInfo(name)
    member.size = size
    member.mtime = epoch
    member.mode = 0o644
    return member
