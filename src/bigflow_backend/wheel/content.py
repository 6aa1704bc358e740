"""What goes into the wheel: the Python of the packages, and ``resources/`` flat beside it.

Nothing else does. What a project would miss is named: a file that is left out in a warning, a
layout that would lose a file in an error.
"""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project

_PYTHON = (".py", ".pyi")
_TYPED_MARKER = "py.typed"  # https://peps.python.org/pep-0561/
_JUNK_NAMES = {
    "__pycache__",
    ".DS_Store",
    "Thumbs.db",
    ".gitkeep",
    ".gitignore",
    ".ipynb_checkpoints",
}
_JUNK_BEGINNINGS = (".#",)  # Emacs locks a file by a link of that name that leads nowhere
_JUNK_ENDINGS = (".pyc", ".pyo", "~", ".swp", ".swo")


@dataclass(frozen=True, slots=True)
class Member:
    """A file of the wheel."""

    name: str
    """Its name in the archive, with forward slashes."""
    path: str
    """The file on disk that it is a copy of."""
    executable: bool

    def read(self) -> bytes:
        """
        :raises UserError: when the file cannot be read.
        """
        try:
            with open(self.path, "rb") as file:  # noqa: PTH123  (2,000 of them: Path costs a third)
                return file.read()
        except OSError as error:
            raise _unreadable(self.path, error) from error


@dataclass(frozen=True)
class Content:
    """The files of a project's wheel, and the packages that they make up."""

    packages: tuple[str, ...]
    """Dotted names of all packages, sub-packages included, sorted."""
    modules: tuple[Member, ...]
    """The Python files: ``*.py``, ``*.pyi``, ``py.typed``; sorted by name."""
    resources: tuple[Member, ...]
    """The files of ``resources/``; sorted by name."""
    left_out: tuple[str, ...] = ()
    """The files inside the packages that are not Python, relative to the project; sorted."""

    @property
    def members(self) -> tuple[Member, ...]:
        return tuple(sorted((*self.modules, *self.resources), key=lambda m: m.name))


def project_content(project: Project) -> Content:
    """The files that the project's wheel holds.

    :raises UserError: for a nested ``resources/``, a link that leaves the project, a directory of
        modules without ``__init__.py``, names that differ only in case, a file that is unreadable.
    """
    walk = _PackageWalk(os.fspath(project.root))
    for package in project.packages:
        directory = os.fspath(project.source / package)
        _refuse_escape(directory, walk.root)
        walk.visit(directory, package)
    resources = resource_members(project)
    _refuse_resources_package(project)
    modules = tuple(sorted(walk.modules, key=lambda m: m.name))
    _refuse_case_twins((*modules, *resources))
    return Content(
        packages=tuple(sorted(walk.packages)),
        modules=modules,
        resources=resources,
        left_out=tuple(sorted(os.path.relpath(p, project.root) for p in walk.left_out)),
    )


def resource_members(project: Project) -> tuple[Member, ...]:
    """The files of ``resources/``, as they lie in the main package.

    :raises UserError: for a directory in it, or a link that leaves the project or leads nowhere.
    """
    root = os.path.realpath(project.root)
    if not project.resources.is_dir():
        if os.path.lexists(project.resources):
            raise UserError(
                f"{project.resources} is no directory", hint="make it one, or remove it"
            )
        return ()
    _refuse_escape(os.fspath(project.resources), root)
    return tuple(
        _member(entry, f"{project.package}/resources/{entry.name}", root)
        for entry in _entries(os.fspath(project.resources))
        if not _refuse_directory(entry)
    )


def archive_name(name: str) -> str:
    """The name of a file, as an archive carries it: in UTF-8, whatever the locale.

    :raises UserError: when its bytes on disk are not UTF-8.
    """
    try:
        return os.fsencode(name).decode("utf-8")
    except UnicodeDecodeError:
        raise UserError(
            f"the name of {name!r} is not UTF-8, so an archive cannot hold it",
            hint="rename the file",
        ) from None


def check_syntax(modules: Iterable[Member]) -> None:
    """Compiles every module, so that broken code is not shipped.

    :raises UserError: for the first module that Python cannot compile, with file and line.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a SyntaxWarning is the author's business, not the build's
        for module in modules:
            if not module.name.endswith(".py"):
                continue
            try:
                compile(module.read(), module.path, "exec", dont_inherit=True)
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                number = getattr(error, "lineno", None)  # a null byte has none
                line = f", line {number}" if number else ""
                reason = getattr(error, "msg", str(error)) or "it is nested too deeply"
                raise UserError(
                    f"{module.name}{line}: {reason}",
                    hint="mend the module; it could not be imported",
                ) from error


class _PackageWalk:
    """Collects packages, modules and the files that are left out."""

    def __init__(self, root: str) -> None:
        self.root = os.path.realpath(root)
        self.packages: list[str] = []
        self.modules: list[Member] = []
        self.left_out: list[str] = []

    def visit(self, directory: str, name: str) -> None:
        """Takes in the package ``name`` (with slashes) in ``directory``, and those below it."""
        entries = list(_entries(directory))
        if not any(e.name == "__init__.py" for e in entries):
            self._visit_data(directory, entries)
            return
        self.packages.append(name.replace("/", "."))
        for entry in entries:
            if entry.is_dir():
                if entry.is_symlink():
                    raise UserError(
                        f"{entry.path} is a link to a directory, which a wheel cannot hold",
                        hint="move the directory there, or import it under its own name",
                    )
                self.visit(entry.path, f"{name}/{entry.name}")
            elif _is_python(entry.name):
                self.modules.append(_member(entry, f"{name}/{entry.name}", self.root))
            else:
                self.left_out.append(entry.path)

    def _visit_data(self, directory: str, entries: Iterable[os.DirEntry[str]]) -> None:
        """A directory that is no package: Python in it would be lost without a word."""
        for entry in entries:
            if entry.is_dir():
                self._visit_data(entry.path, _entries(entry.path))
            elif entry.name.endswith(_PYTHON):
                raise UserError(
                    f"{entry.path} would be left out: its directory has no __init__.py",
                    hint=f"create {os.path.join(directory, '__init__.py')}; it may be empty",  # noqa: PTH118
                )
            else:
                self.left_out.append(entry.path)


def _entries(directory: str) -> Iterator[os.DirEntry[str]]:
    """The entries of a directory in the order of their names, without what tools leave behind."""
    try:
        with os.scandir(directory) as entries:
            found = sorted(entries, key=lambda e: e.name)
    except OSError as error:
        raise _unreadable(directory, error) from error
    return (e for e in found if not is_junk(e.name))


def is_junk(name: str) -> bool:
    """Whether tools and editors leave files or directories of that name behind."""
    return name in _JUNK_NAMES or name.endswith(_JUNK_ENDINGS) or name.startswith(_JUNK_BEGINNINGS)


def _is_python(name: str) -> bool:
    return name.endswith(_PYTHON) or name == _TYPED_MARKER


def _member(entry: os.DirEntry[str], name: str, root: str) -> Member:
    name = archive_name(name)
    if entry.is_symlink():
        _refuse_escape(entry.path, root)
    try:
        mode = entry.stat().st_mode
    except FileNotFoundError:
        raise UserError(
            f"{entry.path} is a link that leads nowhere", hint="mend or remove the link"
        ) from None
    except OSError as error:
        raise _unreadable(entry.path, error) from error
    if not stat.S_ISREG(mode):
        raise UserError(
            f"{entry.path} is neither a file nor a directory", hint="remove it from the project"
        )
    return Member(name=name, path=entry.path, executable=bool(mode & stat.S_IXUSR))


def _refuse_escape(path: str, root: str) -> None:
    target = os.path.realpath(path)
    if not target.startswith(root + os.sep):
        raise UserError(
            f"{path} is a link that leaves the project, to {target}",
            hint="copy what it leads to into the project",
        )


def _refuse_directory(entry: os.DirEntry[str]) -> bool:
    if entry.is_dir():
        raise UserError(
            f"resources/{entry.name} is a directory, and resources/ is flat",
            hint="move its files up into resources/, with the directory in their names",
        )
    return False


def _refuse_resources_package(project: Project) -> None:
    inside = project.source / project.package / "resources"
    if project.resources.is_dir() and (inside.exists() or inside.with_suffix(".py").exists()):
        raise UserError(
            f"{project.package}/resources is in the package already, where the files of "
            f"{project.resources} go",
            hint=f"rename one of the two; non-Python files belong in {project.resources.name}/",
        )


def _refuse_case_twins(members: Iterable[Member]) -> None:
    # On macOS only one of the two would survive the installation.
    seen: dict[str, str] = {}
    for member in members:
        twin = seen.setdefault(member.name.casefold(), member.name)
        if twin != member.name:
            raise UserError(
                f"{twin} and {member.name} differ only in upper and lower case",
                hint="rename one of them; some file systems hold only one",
            )


def _unreadable(path: str, error: OSError) -> UserError:
    return UserError(
        f"cannot read {path}: {error.strerror}",
        hint="check the rights of the file and its directory",
    )
