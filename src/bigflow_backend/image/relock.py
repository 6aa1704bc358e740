"""Project -> a lock of its dependencies, and the digest of its base image beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import read_bounded, read_text, replaced_file
from bigflow_backend.ground.limits import PROJECT_FILE
from bigflow_backend.image.base.read import is_file_name
from bigflow_backend.image.dependencies.compile import compile_requirements
from bigflow_backend.image.dependencies.lock import read_lock, source_hint
from bigflow_backend.image.dependencies.uv_process import run_uv_for_project
from bigflow_backend.image.dockerfile import STANDARD, build_args, read_dockerfile
from bigflow_backend.image.reference import remote_name
from bigflow_backend.image.registry import fetch_manifest
from bigflow_backend.project.members import UV_LOCK, directory_of_uv_lock, relative_file_urls
from bigflow_backend.project.requirements import read_requirements

if TYPE_CHECKING:
    from bigflow_backend.image.session import Session
    from bigflow_backend.project.project import Project


@dataclass(frozen=True)
class Locked:
    """A lock that was made."""

    path: str
    """The file, relative to the project."""
    changes: tuple[str, ...]
    """A line for each distribution with another version than before."""


def lock_dependencies(
    project: Project,
    *,
    python: str,
    upgrade: bool,
    packages: Sequence[str],
    say: Callable[[str], None],
) -> Locked:
    """Make or update the lock. Versions stay if they will do, unless they are to be upgraded.

    :raises UserError: if no file lists the dependencies, or there is no solution.
    """
    if "dependencies" in project.pyproject.get("project", {}):
        return _uv_lock(project, upgrade=upgrade, packages=packages, say=say)
    source, moved = project.resources / "requirements.in", False
    if not source.is_file():
        if not project.requirements.is_file():
            raise UserError(
                "no file lists the dependencies",
                hint="write them into dependencies of [project] in pyproject.toml",
            )
        # The list of the user becomes the source, and the lock gets its name.
        with replaced_file(source) as new:
            new.write_bytes(read_bounded(project.requirements, PROJECT_FILE))
        moved = True
    before = _pins(project.requirements)
    try:
        compile_requirements(
            project,
            source,
            python=python,
            upgrade=upgrade,
            packages=packages,
            say=lambda _line: None,
        )
    except BaseException:
        if moved:
            source.unlink()  # requirements.txt is still the list
        raise
    if moved:
        say(f"{_shown(project, source)} has the list of requirements.txt now")
    after = _pins(project.requirements)
    return Locked(_shown(project, project.requirements), tuple(_changes(before, after)))


def _uv_lock(
    project: Project, *, upgrade: bool, packages: Sequence[str], say: Callable[[str], None]
) -> Locked:
    for name, relative in relative_file_urls(project.pyproject).items():
        # uv would search the name on an index.
        raise UserError(
            f"uv cannot lock {name} @ file:{relative}: the path is relative",
            hint=source_hint(name, relative),
        )
    directory = directory_of_uv_lock(project.root)
    path = (directory or project.root) / UV_LOCK
    before = _packages(path) if directory is not None else {}
    status, lines = run_uv_for_project(
        project,
        "lock",
        *(["--upgrade"] if upgrade else []),
        *(f"--upgrade-package={name}" for name in packages),
    )
    if status:
        for line in lines:
            say(line)
        raise UserError("uv cannot lock the dependencies", hint="see its output above")
    path = (directory_of_uv_lock(project.root) or project.root) / UV_LOCK
    return Locked(path.name, tuple(_changes(before, _packages(path))))


def _packages(path: Path) -> dict[str, str]:
    document = read_lock(path)
    packages = document.get("package")
    return {
        str(package["name"]): str(package["version"])
        for package in (packages if isinstance(packages, list) else ())
        if isinstance(package, dict) and {"name", "version"} <= package.keys()
    }


def _pins(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    return {line.name: line.pinned_version or "" for line in read_requirements(path).lines}


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    lines = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old is None:
            lines.append(f"+ {name} {new}")
        elif new is None:
            lines.append(f"- {name} {old}")
        elif old != new:
            lines.append(f"  {name} {old or 'any'} -> {new}")
    return lines


def _shown(project: Project, path: Path) -> str:
    return path.relative_to(project.root).as_posix()


def lock_base(project: Project, session: Session) -> str | None:
    """Write the base image with its digest into pyproject.toml; return it, or None for a file.

    :raises UserError: if the registry does not answer, or has no such image.
    """
    own = project.dockerfile
    dockerfile = read_dockerfile(own if own.exists() else STANDARD)
    settings = project.settings.image
    name = dockerfile.base_image(build_args(project, settings, dockerfile))
    if name is None or is_file_name(name):
        return None
    tagged = name.partition("@")[0]
    if tagged != name and ":" not in tagged.rpartition("/")[2]:
        return name  # it has a digest and no tag: there is nothing newer
    # The digest of the index, which has all platforms.
    found = fetch_manifest(remote_name(tagged), store=session.store, registries=session.registries)
    pinned = f"{tagged}@{found.digest}"
    if pinned != name:
        _write_base(project, pinned)
    return pinned


def _write_base(project: Project, pinned: str) -> None:
    import tomlkit

    path = project.root / "pyproject.toml"
    document: Any = tomlkit.parse(read_text(path) if path.exists() else "")
    tool = document.setdefault("tool", tomlkit.table(is_super_table=True))
    bigflow = tool.setdefault("bigflow", tomlkit.table(is_super_table=True))
    bigflow.setdefault("image", tomlkit.table())["base-image"] = pinned
    with replaced_file(path) as new:
        new.write_text(tomlkit.dumps(document), "utf-8")
