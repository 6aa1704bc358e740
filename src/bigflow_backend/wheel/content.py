"""Project -> the files of its wheel: Python files of the packages, and ``resources/``.

A warning names other files of the packages. A layout that would lose Python files is an error.
"""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import open_regular, read_bounded, unreadable
from bigflow_backend.ground.limits import MODULE

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
    """A file of a wheel."""

    name: str
    """The name in the archive, with forward slashes."""
    path: str
    """The file on disk."""
    executable: bool

    def open(self) -> BinaryIO:
        """Open the file for reading.

        :raises UserError: if it cannot be opened.
        """
        return open_regular(self.path)

    def read(self) -> bytes:
        """Return the content of a module.

        :raises UserError: if the file cannot be read, or is too large for a module.
        """
        return read_bounded(self.path, MODULE)


@dataclass(frozen=True)
class Content:
    """The files and the packages of a wheel."""

    packages: tuple[str, ...]
    """Dotted names of all packages and their sub-packages, sorted."""
    modules: tuple[Member, ...]
    """The Python files: ``*.py``, ``*.pyi``, ``py.typed``; sorted by name."""
    resources: tuple[Member, ...]
    """The files of ``resources/``; sorted by name."""
    left_out: tuple[str, ...] = ()
    """The other files in the packages, relative to the project; sorted."""

    @property
    def members(self) -> tuple[Member, ...]:
        return tuple(sorted((*self.modules, *self.resources), key=lambda m: m.name))


def project_content(project: Project) -> Content:
    """Return the files of the project's wheel.

    :raises UserError: for directories in ``resources/``, links out of the project, modules without
        an ``__init__.py``, names that differ only in case, and unreadable files.
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
    """Return the files of ``resources/``, which the wheel has in the main package.

    :raises UserError: for a directory, a broken link, or a link to a file outside the project.
    """
    root = os.path.realpath(project.root)
    if not project.resources.is_dir():
        if os.path.lexists(project.resources):
            raise UserError(
                f"{project.resources} is not a directory", hint="rename it or remove it"
            )
        return ()
    _refuse_escape(os.fspath(project.resources), root)
    return tuple(
        _member(entry, f"{project.package}/resources/{entry.name}", root)
        for entry in _entries(os.fspath(project.resources))
        if not _refuse_directory(entry)
    )


def archive_name(name: str) -> str:
    """Return the name of a file in an archive, which is UTF-8 in every locale.

    :raises UserError: if the name on disk is not UTF-8.
    """
    try:
        return os.fsencode(name).decode("utf-8")
    except UnicodeDecodeError:
        raise UserError(
            f"the name of {name!r} is not UTF-8, so an archive cannot contain it",
            hint="rename the file",
        ) from None


def check_syntax(modules: Iterable[Member]) -> None:
    """Compile every module.

    :raises UserError: for the first module that is not valid Python, with file and line.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a SyntaxWarning does not concern the build
        for module in modules:
            if not module.name.endswith(".py"):
                continue
            try:
                compile(module.read(), module.path, "exec", dont_inherit=True)
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                number = getattr(error, "lineno", None)  # a null byte has none
                line = f", line {number}" if number else ""
                reason = getattr(error, "msg", str(error)) or "the code is nested too deeply"
                raise UserError(
                    f"{module.name}{line}: {reason}",
                    hint="fix the module; Python cannot import it",
                ) from error


class _PackageWalk:
    """Collect packages, modules and the files that are left out."""

    def __init__(self, root: str) -> None:
        self.root = os.path.realpath(root)
        self.packages: list[str] = []
        self.modules: list[Member] = []
        self.left_out: list[str] = []

    def visit(self, directory: str, name: str) -> None:
        """Add the package ``name`` (with slashes) in ``directory``, and those below it."""
        entries = list(_entries(directory))
        if not any(e.name == "__init__.py" for e in entries):
            self._visit_data(directory, entries)
            return
        self.packages.append(name.replace("/", "."))
        for entry in entries:
            if _is_directory(entry):
                if entry.is_symlink():
                    raise UserError(
                        f"{entry.path} is a link to a directory, which a wheel cannot contain",
                        hint="move the directory there, or import it by its own name",
                    )
                self.visit(entry.path, f"{name}/{entry.name}")
            elif _is_python(entry.name):
                self.modules.append(_member(entry, f"{name}/{entry.name}", self.root))
            else:
                self.left_out.append(entry.path)

    def _visit_data(self, directory: str, entries: Iterable[os.DirEntry[str]]) -> None:
        """Refuse Python files in a directory that is not a package."""
        for entry in entries:
            if _is_directory(entry):
                self._visit_data(entry.path, _entries(entry.path))
            elif entry.name.endswith(_PYTHON):
                raise UserError(
                    f"{entry.path} would be left out: its directory has no __init__.py",
                    hint=f"create {os.path.join(directory, '__init__.py')}; it may be empty",  # noqa: PTH118
                )
            else:
                self.left_out.append(entry.path)


def _entries(directory: str) -> Iterator[os.DirEntry[str]]:
    """Yield the entries of a directory, sorted by name, without files of tools and editors."""
    try:
        with os.scandir(directory) as entries:
            found = sorted(entries, key=lambda e: e.name)
    except OSError as error:
        raise unreadable(directory, error) from error
    return (e for e in found if not is_junk(e.name))


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:  # a link to itself
        raise unreadable(entry.path, error) from error


def is_junk(name: str) -> bool:
    """Return True for names of files and directories that tools and editors create."""
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
        raise UserError(f"{entry.path} is a broken link", hint="fix or remove the link") from None
    except OSError as error:
        raise unreadable(entry.path, error) from error
    if not stat.S_ISREG(mode):
        raise UserError(
            f"{entry.path} is neither a file nor a directory", hint="remove it from the project"
        )
    return Member(name=name, path=entry.path, executable=bool(mode & stat.S_IXUSR))


def _refuse_escape(path: str, root: str) -> None:
    target = os.path.realpath(path)
    if not target.startswith(root + os.sep):
        raise UserError(
            f"{path} is a link to {target}, outside the project",
            hint="copy the file into the project",
        )


def _refuse_directory(entry: os.DirEntry[str]) -> bool:
    if _is_directory(entry):
        raise UserError(
            f"resources/{entry.name} is a directory, and resources/ is flat",
            hint="move its files into resources/; use names such as queries_daily.sql",
        )
    return False


def _refuse_resources_package(project: Project) -> None:
    inside = project.source / project.package / "resources"
    if project.resources.is_dir() and (inside.exists() or inside.with_suffix(".py").exists()):
        raise UserError(
            f"{project.package}/resources exists, and the wheel has the files of "
            f"{project.resources} there",
            hint=f"rename {project.package}/resources, and keep other files in resources/",
        )


def _refuse_case_twins(members: Iterable[Member]) -> None:
    # A case-insensitive file system, as on macOS, would keep one of the two.
    seen: dict[str, str] = {}
    for member in members:
        twin = seen.setdefault(member.name.casefold(), member.name)
        if twin != member.name:
            raise UserError(
                f"{twin} and {member.name} differ only in upper and lower case",
                hint="rename one of them; some file systems can have only one",
            )
