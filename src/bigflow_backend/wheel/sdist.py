"""Project -> sdist: what building the wheel needs, and what MANIFEST.in adds.

https://packaging.python.org/en/latest/specifications/source-distribution-format/
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import tarfile
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.epoch import source_date_epoch
from bigflow_backend.ground.errors import BigflowWarning, UserError
from bigflow_backend.ground.files import replaced_file
from bigflow_backend.wheel.config_settings import ConfigSettings
from bigflow_backend.wheel.content import archive_name, check_syntax, project_content
from bigflow_backend.wheel.imports import check_imports
from bigflow_backend.wheel.manifest_in import apply_manifest, is_left_behind
from bigflow_backend.wheel.metadata import referenced_files, write_metadata
from bigflow_backend.wheel.wheel import load

if TYPE_CHECKING:
    from setuptools import Distribution

    from bigflow_backend.project.project import Project
    from bigflow_backend.wheel.content import Content
    from bigflow_backend.wheel.distribution import Loaded

_BUILD_FILES = ("pyproject.toml", "project_setup.py", "setup.py", "setup.cfg", "MANIFEST.in")
_READMES = ("README", "README.rst", "README.txt", "README.md")
_LAST = 2**32 - 1
_NO_SETTINGS = ConfigSettings()


@dataclass(frozen=True)
class Sdist:
    """A source distribution on disk."""

    path: Path
    name: str
    version: str
    sha256: str
    size: int
    """In bytes."""
    seconds: float


def build_sdist(
    project: Project, directory: Path, settings: ConfigSettings = _NO_SETTINGS
) -> Sdist:
    """Builds the project's sdist into ``directory``; nothing is written anywhere else.

    :raises UserError: as ``build_wheel``: what could not become a wheel is not published.
    """
    start = time.perf_counter()
    epoch = source_date_epoch()
    content = project_content(project)
    check_syntax(content.modules)
    check_imports(project, content.modules)
    loaded = load(project, content, settings)
    distribution = loaded.distribution
    with tempfile.TemporaryDirectory(prefix="bigflow-sdist-") as temporary:
        dist_info = write_metadata(distribution, Path(temporary))
        pkg_info = (dist_info / "METADATA").read_bytes()
        stem = dist_info.name.removesuffix(".dist-info")
    files = _files(loaded, content)
    target = directory / f"{stem}.tar.gz"
    with replaced_file(target) as new:
        _write(new, stem, files, pkg_info, epoch)
    return Sdist(
        path=target,
        name=loaded.project.name,
        version=loaded.project.version.text,
        sha256=hashlib.sha256(target.read_bytes()).hexdigest(),
        size=target.stat().st_size,
        seconds=time.perf_counter() - start,
    )


def _files(loaded: Loaded, content: Content) -> list[str]:
    """Paths relative to the project, with forward slashes; sorted."""
    project, distribution = loaded.project, loaded.distribution
    root = os.fspath(project.root)
    names = {os.path.relpath(m.path, root) for m in content.members}
    names |= {n for n in (*_BUILD_FILES, *_READMES) if (project.root / n).is_file()}
    names |= set(getattr(distribution.metadata, "license_files", None) or ())
    names |= set(referenced_files(project.pyproject))
    names |= set(_read_by_setup_script(loaded))
    for command in ("build_py", "build_ext", "build_clib", "build_scripts"):
        names |= _sources_of(distribution, command)
    names.discard("PKG-INFO")
    required = frozenset(n for n in names if (project.root / n).is_file())
    needed = _needed(project, required)
    packed = apply_manifest(project.root, required, needed)
    return sorted(n.replace(os.sep, "/") for n in packed)


def _read_by_setup_script(loaded: Loaded) -> Iterator[str]:
    """The neighbours that project_setup.py imports, and the files that it reads.

    Hidden ones are left out, as they may hold secrets, and so is deployment_config.py; that is
    told.
    """
    project = loaded.project
    for path in sorted(loaded.setup_files):
        name = os.path.relpath(path, project.root)
        if is_left_behind(name, project.root):
            continue
        if path != os.fspath(project.deployment_config) and not name.startswith("."):
            yield name
        elif project.setup_script is not None:
            warnings.warn(
                f"{project.setup_script.path.name} reads {name}, which the sdist does not hold; "
                "it cannot be built without",
                BigflowWarning,
                stacklevel=2,
            )


def _sources_of(distribution: Distribution, command: str) -> set[str]:
    """The sources of extension modules and scripts, which only setuptools knows."""
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


def _write(target: Path, stem: str, files: list[str], pkg_info: bytes, epoch: int) -> None:
    # Both headers carry a time: gzip's own, of 32 bits (RFC 1952), and each member's.
    with (
        target.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=min(epoch, _LAST)) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in files:
            try:
                data = Path(name).read_bytes()
                executable = bool(Path(name).stat().st_mode & stat.S_IXUSR)  # as in the wheel
            except OSError as error:
                raise UserError(
                    f"cannot read {name}: {error.strerror}", hint="check the rights of the file"
                ) from error
            _add(archive, f"{stem}/{archive_name(name)}", data, epoch, executable=executable)
        _add(archive, f"{stem}/PKG-INFO", pkg_info, epoch, executable=False)


def _add(archive: tarfile.TarFile, name: str, data: bytes, epoch: int, *, executable: bool) -> None:
    # Owner, group, mode and time of the building machine stay out of it.
    member = tarfile.TarInfo(name)
    member.size = len(data)
    member.mtime = epoch
    member.mode = 0o755 if executable else 0o644
    archive.addfile(member, io.BytesIO(data))
