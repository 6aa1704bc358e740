"""Write a new project, or what an existing project lacks."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.directories import unused_name
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import replaced_file
from bigflow_backend.scaffold.existing import has_workflow
from bigflow_backend.scaffold.files import project_files, rendered
from bigflow_backend.scaffold.pyproject import completed_pyproject

if TYPE_CHECKING:
    from bigflow_backend.scaffold.model import NewProject


@dataclass(frozen=True)
class Started:
    """The files that were written. Paths are relative to ``root``."""

    root: Path
    written: tuple[str, ...]
    changed: tuple[str, ...]
    """Existing files that have new lines."""
    in_git: bool
    """True if the directory belongs to a git repository."""


def start_project(root: Path, project: NewProject, *, git: bool) -> Started:
    """Write a new project into ``root``, which does not exist yet or is empty.

    With ``git`` it becomes a git repository, unless it is in one already.

    :raises UserError: if ``root`` has files, or cannot be written.
    """
    if root.is_dir() and not any(root.iterdir()):
        root.rmdir()
    if os.path.lexists(root):
        raise UserError(
            f"{root} is there already",
            hint=f"choose another name; or add what it lacks: cd {root}; bigflow init",
        )
    if not root.parent.is_dir():
        raise UserError(
            f"{root.parent} is not a directory", hint="create it, or choose another directory"
        )
    files = project_files(project)
    new = unused_name(root.parent, f".{root.name}.")
    try:
        new.mkdir()
    except OSError as error:
        raise _unwritable(root.parent, error) from error
    try:
        _write(new, files)
        new.rename(root)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    return Started(root, tuple(files), (), in_git=_in_git(root) or (git and _git_init(root)))


def complete_project(root: Path, project: NewProject) -> Started:
    """Write what the project in ``root`` lacks. An existing file stays, except pyproject.toml.

    :raises UserError: if pyproject.toml cannot be completed, or a file cannot be written.
    """
    package = f"{project.source}{project.package}"
    missing = {
        name: text
        for name, text in project_files(project).items()
        if name in _NEEDED or name.startswith((".gitlab", ".github", "cloudbuild"))
        if not os.path.lexists(root / name)
    }
    if not has_workflow(root / package):
        if not (root / package / "__init__.py").is_file():
            missing[f"{package}/__init__.py"] = rendered("package.py", project)
        name = "workflow.py"
        if (root / package / name).exists():
            raise UserError(
                f"{package}/{name} defines no workflow",
                hint="define one in it: daily = bigflow.Workflow('daily', [...])",
            )
        missing[f"{package}/{name}"] = rendered("existing_workflow.py", project)
    changed = {}
    pyproject = root / "pyproject.toml"
    if pyproject.exists():
        text = completed_pyproject(pyproject, project)
        if text is not None:
            changed["pyproject.toml"] = text
    _write(root, {**missing, **changed})
    return Started(root, tuple(missing), tuple(changed), in_git=_in_git(root))


_NEEDED = ("pyproject.toml", "deployment_config.py", ".gitignore")


def _write(root: Path, files: dict[str, str]) -> None:
    try:
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with replaced_file(path) as new:
                new.write_text(text, "utf-8")
    except OSError as error:
        raise _unwritable(error.filename, error) from error


def _unwritable(path: str | Path, error: OSError) -> UserError:
    return UserError(
        f"cannot write {path}: {error.strerror}",
        hint="check the permissions of the directory, and the free space",
    )


def _in_git(root: Path) -> bool:
    return any((directory / ".git").exists() for directory in (root, *root.absolute().parents))


def _git_init(root: Path) -> bool:
    """Return whether ``git init`` succeeded; without git the project is not a repository."""
    try:
        done = subprocess.run(["git", "init", "--quiet", root], check=False, capture_output=True)
    except FileNotFoundError:
        return False
    return done.returncode == 0
