"""Project -> what is newer than its image: the base behind its tag, and releases of its pins.

Nothing is changed. What could not be asked is said, so an answer is never silently incomplete.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bigflow_backend.ground.directories import scratch_directory
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import has_file
from bigflow_backend.ground.foreign.documents import read_json
from bigflow_backend.image.base.read import is_file_name
from bigflow_backend.image.dependencies.explicit import explicit_indexes, write_pyproject
from bigflow_backend.image.dependencies.indexes import stated_urls
from bigflow_backend.image.dependencies.lock import read_lock
from bigflow_backend.image.dependencies.uv_process import OPTION_FLAGS, error_of, run_uv
from bigflow_backend.image.dockerfile import STANDARD, build_args, read_dockerfile
from bigflow_backend.image.imageinfo import ImageFiles, read_imageinfo
from bigflow_backend.image.oci import INDEXES, IndexDocument
from bigflow_backend.image.reference import remote_name, without_credentials
from bigflow_backend.image.registry import fetch_manifest
from bigflow_backend.project.dependencies import project_dependencies
from bigflow_backend.project.locked import PYLOCK, locked_pins
from bigflow_backend.project.members import UV_LOCK, directory_of_uv_lock, local_projects
from bigflow_backend.project.requirements import (
    OURS,
    absolute_option,
    parsed_requirements,
    read_requirements,
)

if TYPE_CHECKING:
    from bigflow_backend.image.dependencies.explicit import ExplicitIndex
    from bigflow_backend.image.session import Session
    from bigflow_backend.project.project import Project
    from bigflow_backend.project.requirements import OptionLine

_CONSTRAINTS = ("-c", "--constraint")
"""They would hide newer releases."""


@dataclass(frozen=True)
class BaseState:
    """The base image of a project."""

    name: str
    """Without credentials."""
    built: str
    """The digest of the last build, or that of the settings."""
    now: str
    """The digest that the tag has in the registry."""
    is_pinned: bool
    """True if the settings have the digest."""
    has_moved: bool


@dataclass(frozen=True)
class NewerRelease:
    """A pin that has a newer release."""

    name: str
    version: str
    """The pinned version; several for several platforms."""
    newest: str
    """The newest release for the Python of this machine."""


@dataclass(frozen=True)
class Outdated:
    """The answer to the question which parts of an image have newer ones."""

    base: BaseState | None
    """None if it is not known, or the base is a file."""
    place: str | None
    """The file with the pins."""
    asked: int
    """The number of distributions whose releases were looked up."""
    pins: tuple[NewerRelease, ...]
    missing: tuple[str, ...]
    """The reasons why something could not be asked."""

    @property
    def is_outdated(self) -> bool:
        return bool(self.pins) or (self.base is not None and self.base.has_moved)


@dataclass(frozen=True)
class _Pins:
    """The pins of a project, and the places of their distributions."""

    place: str
    versions: Mapping[str, Sequence[str]]
    options: tuple[OptionLine, ...] = ()
    """The options of requirements.txt, with absolute paths."""
    indexes: tuple[ExplicitIndex, ...] = ()


def find_outdated(project: Project, session: Session, *, python: str) -> Outdated:
    """Compare the base and the pins with the registry and the indexes.

    ``python`` is the interpreter for which releases are looked up.

    :raises UserError: if a file of the project is not valid.
    """
    missing, base = [], None
    name = _base_name(project)
    if name is None or is_file_name(name):
        missing.append("the base image: it is not in a registry")
    else:
        try:
            base = _base_state(project, name, session)
        except UserError as error:
            missing.append(f"the base image: {error.message}")
    pins, newer = _pins(project), tuple[NewerRelease, ...]()
    if not pins.versions:
        missing.append(
            "the releases of dependencies: nothing pins their versions; see bigflow lock"
        )
    try:
        newer = tuple(_newer(project, pins, python=python))
        asked = len(pins.versions)
    except UserError as error:
        missing.append(f"the releases of dependencies: {error.message}")
        asked = 0
    return Outdated(base, pins.place, asked, newer, tuple(missing))


def _base_name(project: Project) -> str | None:
    own = project.dockerfile
    dockerfile = read_dockerfile(own if has_file(own) else STANDARD)
    return dockerfile.base_image(build_args(project, project.settings.image, dockerfile))


def _base_state(project: Project, name: str, session: Session) -> BaseState:
    """
    :raises UserError: if the registry or the last build does not say it.
    """
    tagged, _, pinned = name.partition("@")
    if pinned and ":" not in tagged.rpartition("/")[2]:
        return BaseState(name, pinned, pinned, is_pinned=True, has_moved=False)
    built = pinned or _built_from(project, name)
    found = fetch_manifest(remote_name(tagged), store=session.store, registries=session.registries)
    digests = {found.digest}
    if found.media_type in INDEXES:
        # A build names the manifest of its platform.
        entries = read_json(session.store.read(found.digest), IndexDocument).get("manifests")
        digests |= {entry["digest"] for entry in entries or ()}
    return BaseState(
        without_credentials(tagged),
        built,
        found.digest,
        is_pinned=bool(pinned),
        has_moved=built not in digests,
    )


def _built_from(project: Project, name: str) -> str:
    """Return the digest of the base in the last build.

    :raises UserError: if no build says it.
    """
    infos = sorted(
        (project.root / ImageFiles("0").info.parent).glob("imageinfo-*.json"),
        key=lambda path: path.stat().st_mtime_ns,
    )
    hint = "build the image, or pin the base: bigflow lock"
    if not infos:
        raise UserError("no image was built here, and no digest is pinned", hint=hint)
    base = read_imageinfo(infos[-1])["base"] or {}
    if without_credentials(base.get("name", "")) != without_credentials(name):
        raise UserError(f"{infos[-1].name} is of an image with another base", hint=hint)
    digest = base.get("digest")
    if digest is None:
        raise UserError(f"{infos[-1].name} does not have the digest of the base", hint=hint)
    return digest


def _pins(project: Project) -> _Pins:
    """Return the pins of the lock, or else those of the list of the project."""
    file = read_requirements(project.requirements)
    locked = locked_pins(project)
    if locked is None:
        dependencies = project_dependencies(project)
        lines = () if dependencies is None else (dependencies.file or dependencies.required).lines
        place = "the project" if dependencies is None else dependencies.place
        found = [(line.name, line.pinned_version) for line in lines if not line.is_local]
    else:
        place = locked.place
        # A project of the repository, or a commit, has no hash.
        found = [(pin.name, pin.version) for pin in locked.pins if pin.hashes]
    own = {OURS, *local_projects(project.root, project.pyproject)}
    versions: dict[str, list[str]] = {}
    for name, version in found:
        if version is not None and name not in own:
            versions.setdefault(name, []).append(version)
    options = tuple(
        absolute_option(option, project.resources)
        for option in file.options
        if option.name not in _CONSTRAINTS
    )
    return _Pins(place, versions, options, _explicit(project, place))


def _explicit(project: Project, place: str) -> tuple[ExplicitIndex, ...]:
    directory = directory_of_uv_lock(project.root) if place == UV_LOCK else project.root
    if place not in {UV_LOCK, PYLOCK} or directory is None:
        return ()
    return explicit_indexes(project, read_lock(directory / place), directory)


def _newer(project: Project, pins: _Pins, *, python: str) -> Iterator[NewerRelease]:
    """Yield the pins with a newer release.

    :raises UserError: if an index does not answer.
    """
    from packaging.version import Version

    newest = _newest(project, pins, python=python) if pins.versions else {}
    for name, versions in sorted(pins.versions.items()):
        found = newest.get(name)
        known = sorted(map(Version, versions))
        if found is not None and Version(found) not in known and Version(found) > known[0]:
            yield NewerRelease(name, ", ".join(map(str, known)), found)


def _newest(project: Project, pins: _Pins, *, python: str) -> dict[str, str]:
    """Return the newest release of each name, which is not below the pinned one."""
    from packaging.version import Version

    # Without their dependencies, each name is independent of the others.
    lines = [(name, f"{name}>={min(map(Version, v))}") for name, v in pins.versions.items()]
    indexes = [
        dataclasses.replace(index, pins=frozenset(p.replace("==", ">=") for p in index.pins))
        for index in pins.indexes
    ]
    explicit = {line for line in lines if any(line[1] in index.pins for index in indexes)}
    with scratch_directory() as scratch:
        listed, output = scratch / "pins.in", scratch / "newest.txt"
        text = [o.text for o in pins.options] + [t for n, t in lines if (n, t) not in explicit]
        listed.write_text("".join(f"{line}\n" for line in text), "utf-8")
        files = [str(listed)]
        if explicit:
            file = write_pyproject(scratch / "explicit" / "pyproject.toml", explicit, indexes)
            files.append(str(file))
        flags = (OPTION_FLAGS.get(option.name) for option in pins.options)
        status, printed = run_uv(
            "pip", "compile", *files, "--no-deps", "--quiet", "--no-header", "--no-annotate",
            "--output-file", str(output), "--python", python, "--no-python-downloads",
            *filter(None, flags),
            project=project.root,
            find_links=[project.root / d for d in project.settings.image.find_links],
            urls=(*stated_urls(pins.options), *(index.url for index in pins.indexes)),
            timeout=project.settings.image.timeout,
        )  # fmt: skip
        if status:
            raise error_of(printed, pins.place)
        found = parsed_requirements(output.read_text("utf-8"), pins.place)
    return {line.name: line.pinned_version for line in found.lines if line.pinned_version}
