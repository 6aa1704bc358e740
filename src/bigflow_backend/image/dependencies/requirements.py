"""Project -> the requirements that its image installs, for every builder.

A lock decides, if the project has one: ``uv.lock``, ``pylock.toml``, or the pins of
``resources/requirements.txt``. Otherwise the list of the dependencies does. The runtime
bigflow-backend comes from this machine, in the version that builds, unless the list states one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from bigflow_backend.ground.directories import scratch_directory
from bigflow_backend.ground.errors import BigflowWarning, UserError
from bigflow_backend.ground.settings.places import place_of
from bigflow_backend.image.dependencies.explicit import ExplicitIndex, write_pyproject
from bigflow_backend.image.dependencies.local import name_and_version, with_built_projects
from bigflow_backend.image.dependencies.lock import (
    Lock,
    StaleLockError,
    find_lock,
    read_project_lock,
)
from bigflow_backend.project.dependencies import Dependencies, project_dependencies
from bigflow_backend.project.members import (
    listed_names,
    local_projects,
    names_with_a_source,
    required_projects,
)
from bigflow_backend.project.pyproject import read_pyproject
from bigflow_backend.project.requirements import (
    OURS,
    REQUIREMENTS,
    RequirementLine,
    Requirements,
    absolute_option,
)
from bigflow_backend.wheel.own import own_digest, own_version, write_own_wheel

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project
    from bigflow_backend.project.settings import ImageSettings

NOT_REPEATABLE = (
    "the image is not repeatable: no lock pins the versions of its dependencies; "
    "make one with `bigflow lock`"
)


@dataclass(frozen=True)
class WrittenFile:
    """A requirements file that an installer reads."""

    path: Path
    for_uv: Path
    """The same file; or a pyproject.toml, if distributions come from explicit indexes."""
    wheels: Path
    """A directory for find-links."""
    lines: tuple[tuple[str, str], ...]
    """The normalised name and the text of each requirement."""
    hashes: Mapping[str, str]
    """File name -> SHA-256 of the wheels."""


@dataclass(frozen=True)
class ImageRequirements:
    """The requirements that an image installs, besides the project's own wheel."""

    requirements: Requirements
    """All lines and options."""
    directory: Path
    """The directory to which paths in the options are relative."""
    place: str
    """The file that decides, for messages."""
    is_locked: bool
    brings_runtime: bool
    """True if the wheel of this machine's bigflow-backend is installed."""
    wheels: tuple[Path, ...] = ()
    """Wheels of the projects of this repository that the project depends on."""
    indexes: tuple[ExplicitIndex, ...] = ()
    """The explicit indexes of some requirements."""

    @property
    def names(self) -> set[str]:
        """The normalised names of the required distributions."""
        return {line.name for line in self.requirements.lines}

    @property
    def local_names(self) -> set[str]:
        """The normalised names of the projects of this repository among them."""
        return {name_and_version(wheel)[0] for wheel in self.wheels}

    def inputs(self) -> list[object]:
        """Return all that decides what is installed, for the key of a layer."""
        constraints = sorted(self.directory.glob("*.txt"))
        return [
            [line.text for line in self.requirements.lines],
            [option.text for option in self.requirements.options],
            [(path.name, _digest(path)) for path in constraints] if self._has_files else [],
            [(path.name, _digest(path)) for path in self.wheels],
            own_digest() if self.brings_runtime else "",
            [(index.place, sorted(index.pins)) for index in self.indexes],
        ]

    def write(
        self,
        directory: Path,
        *,
        absolute: bool,
        runtime: bool = True,
        wheels_at: str | None = None,
    ) -> WrittenFile:
        """Write ``requirements.txt``, and ``wheels/`` with the wheels of this machine.

        With ``absolute``, paths in the options are absolute. Without ``runtime``, bigflow-backend
        comes from an index. ``wheels_at`` is the directory of the wheels for pip, which would take
        the same version from an index instead of find-links.
        """
        wheels = directory / "wheels"
        wheels.mkdir(parents=True)
        lines = [(line.name, line.text) for line in self.requirements.lines]
        hashes = {path.name: _digest(path) for path in self.wheels}
        # As in pip, one hash means that each line needs one.
        needs_hash = any("--hash" in text for _, text in lines)
        own = {name_and_version(path)[0]: path.name for path in self.wheels}
        if wheels_at is not None:
            lines = [(n, _at(t, wheels_at, own[n]) if n in own else t) for n, t in lines]
        if needs_hash:
            lines = [
                (n, f"{t} --hash=sha256:{hashes[own[n]]}" if n in own else t) for n, t in lines
            ]
        for path in self.wheels:
            shutil.copyfile(path, wheels / path.name)  # TMPDIR may be another file system
        if self.brings_runtime and runtime:
            lines = [(name, text) for name, text in lines if name != OURS]
            wheel = write_own_wheel(wheels)
            hashes[wheel.name] = _digest(wheel)
            pin = f"{OURS}=={own_version()}"
            lines.append((OURS, f"{pin} --hash=sha256:{_digest(wheel)}" if needs_hash else pin))
        options = self.requirements.options
        if absolute:
            options = tuple(absolute_option(option, self.directory) for option in options)
        file = directory / "requirements.txt"
        text = [*(option.text for option in options), *(text for _, text in lines)]
        file.write_text("".join(f"{line}\n" for line in text), "utf-8")
        for_uv = file
        if self.indexes:
            for_uv = write_pyproject(directory / "pyproject.toml", lines, self.indexes)
        return WrittenFile(file, for_uv, wheels, lines=tuple(lines), hashes=hashes)

    @property
    def _has_files(self) -> bool:
        return any(option.names_a_file for option in self.requirements.options)


def image_requirements(
    project: Project, settings: ImageSettings, staging: Path, say: Callable[[str], None]
) -> ImageRequirements:
    """Return what the image installs. ``staging`` is a directory for wheels that are built.

    :raises UserError: if two lists differ, or a lock is stale or not valid.
    """
    dependencies = project_dependencies(project)
    lock = _lock(project, settings, staging, say)
    if lock is None and dependencies is not None:
        _refuse_choices(settings)
        lock = _from_list(project, dependencies, staging, say)
    if lock is None:
        lock = Lock("the project", Requirements(), (), is_lock=False)
    if settings.locked and not lock.is_lock:
        raise UserError(
            "no lock pins the dependencies of the image, and locked is set:"
            f" {lock.place} is not a lock",
            hint="make one: bigflow lock",
        )
    lines = lock.requirements.lines
    _refuse_local(lines)
    return ImageRequirements(
        requirements=lock.requirements,
        directory=project.resources,
        place=lock.place,
        is_locked=lock.is_lock,
        brings_runtime=_needs_runtime(lines)
        and not (
            OURS in {line.name for line in lines} and _is_in(project.root, settings.find_links)
        ),
        wheels=lock.wheels,
        indexes=lock.indexes,
    )


def _refuse_choices(settings: ImageSettings) -> None:
    """Refuse groups and extras, which only a lock can have."""
    for key, names in (("groups", settings.groups), ("extras", settings.extras)):
        if names:
            raise UserError(
                f"{place_of(f'image.{key}')} needs a uv.lock or a pylock.toml that counts: got"
                f" {', '.join(names)}",
                hint="make the lock: bigflow lock",
            )


def _from_list(
    project: Project, dependencies: Dependencies, staging: Path, say: Callable[[str], None]
) -> Lock:
    """Return the list of the project, which is a lock if it has hashes."""
    file = dependencies.file
    listed = dependencies.required if file is None else file
    is_lock = file is not None and all(
        "--hash" in line.text for line in listed.lines if not line.is_local
    )
    _refuse_sources(project, listed.lines)
    found, wheels = with_built_projects(project, listed, staging, say)
    return Lock(
        dependencies.place if file is None else REQUIREMENTS, found, wheels, is_lock=is_lock
    )


def check_lock(project: Project, settings: ImageSettings) -> None:
    """Check early that the lock is valid and, where that is required, that it is not stale.

    :raises UserError: if it is not.
    """
    if settings.locked is False:
        return
    try:
        with scratch_directory() as scratch:
            read_project_lock(project, settings, scratch)
    except StaleLockError:
        if _must_fit(settings):
            raise


def _must_fit(settings: ImageSettings) -> bool:
    return bool(settings.locked or os.environ.get("CI"))


def _refuse_sources(project: Project, lines: Iterable[RequirementLine]) -> None:
    """Refuse names with a source of their own: on an index they can be those of a stranger."""
    needed = required_projects(project.root, project.pyproject, in_image=True)
    elsewhere = names_with_a_source(project.root, project.pyproject)
    elsewhere -= set(local_projects(project.root, project.pyproject))
    names = {line.name for line in lines}
    for place in needed:
        table = read_pyproject(place)
        elsewhere |= names_with_a_source(place, table) - set(local_projects(place, table))
        names |= listed_names(place, table)
    for name in sorted(names & elsewhere):
        raise UserError(
            f"[tool.uv.sources] has the place of {name}, and no valid uv.lock has it",
            hint="make the lock: bigflow lock",
        )


def _lock(
    project: Project, settings: ImageSettings, staging: Path, say: Callable[[str], None]
) -> Lock | None:
    """Return the lock in a file of its own, unless the settings leave it out."""
    if settings.locked is False:
        return None
    try:
        return find_lock(project, settings, staging, say)
    except StaleLockError as error:
        if _must_fit(settings):
            raise
        warnings.warn(
            f"{error.message}, so it does not count; {error.hint}", BigflowWarning, stacklevel=2
        )
        return None


def _needs_runtime(lines: Iterable[RequirementLine]) -> bool:
    """Return True unless a line states another version of bigflow-backend than the running one."""
    from packaging.requirements import Requirement

    wanted = [Requirement(line.specifier) for line in lines if line.name == OURS]
    return all(
        item.url is None and str(item.specifier) in {"", f"=={own_version()}"} for item in wanted
    )


def _is_in(root: Path, find_links: Iterable[str]) -> bool:
    """Return True if a directory of find-links has a wheel of bigflow-backend."""
    pattern = f"{OURS.replace('-', '_')}-*.whl"
    return any(next((root / place).glob(pattern), None) is not None for place in find_links)


def _refuse_local(lines: Iterable[RequirementLine]) -> None:
    for line in lines:
        if line.is_local:
            raise UserError(
                f"{line.where}: {line.text} is a file of this machine",
                hint="build its wheel, and add the directory of the wheel to find-links",
            )


def _at(text: str, directory: str, wheel: str) -> str:
    """Return the requirement with the place of its wheel instead of its version."""
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    requirement = Requirement(text)
    requirement.url = f"file://{directory}/{quote(wheel)}"
    requirement.specifier = SpecifierSet()
    return str(requirement)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
