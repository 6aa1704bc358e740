"""``resources/requirements.txt`` -> Requires-Dist.

The file's syntax is pip's: https://pip.pypa.io/en/stable/reference/requirements-file-format/
What an installer may use and metadata cannot say is told in a warning; what would change the
meaning of the metadata is an error. Nothing is dropped without a word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bigflow_backend.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Requirements", "read_requirements", "refuse_bigflow"]

_COMMENT = re.compile(r"(^|\s+)#.*$")
_VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}")
_HASH = re.compile(r"\s--hash(?:=|\s+)\S+")
_INCLUDE = re.compile(r"(?:-r\s*|--requirement(?:\s+|\s*=\s*))(?P<path>.+)")
_EDITABLE = re.compile(r"(-e\b|--editable\b)")

_HARMLESS = ("--require-hashes",)
"""Options that say how to install, and are kept by other means."""


@dataclass(frozen=True)
class Requirements:
    """The dependencies of a project."""

    specifiers: tuple[str, ...] = ()
    """One PEP 508 requirement each, normalised, in the order of the file, each once."""
    names: tuple[str, ...] = ()
    """The distribution's name in each of them, normalised (PEP 503)."""
    warnings: tuple[str, ...] = ()
    """What the file says to an installer that metadata cannot say, with file and line."""


def read_requirements(path: Path) -> Requirements:
    """The requirements in the file ``path`` and in those that it includes with ``-r``.

    A file that does not exist has none.

    :raises UserError: with file and line, for a line that is no requirement, an editable or local
        one, a missing ``-r`` file, one outside the file's directory, or a cycle.
    """
    if not path.is_file():
        return Requirements()
    reader = _Reader(directory=path.parent)
    reader.read(path, including=())
    return Requirements(
        specifiers=tuple(reader.found),
        names=tuple(reader.found.values()),
        warnings=tuple(reader.warnings),
    )


def refuse_bigflow(path: Path) -> None:
    """
    :raises UserError: when the file requires ``bigflow``, another distribution on the index with an
        import package of the same name: in one environment they overwrite each other's files.
    """
    if "bigflow" in read_requirements(path).names:
        raise UserError(
            f"{path.parent.name}/{path.name} requires bigflow, whose files overwrite those of "
            "bigflow-backend",
            hint="replace it by bigflow-backend",
        )


@dataclass
class _Reader:
    directory: Path
    found: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def read(self, path: Path, including: tuple[Path, ...]) -> None:
        if path in including:
            names = " -> ".join(p.name for p in (*including[including.index(path) :], path))
            raise UserError(
                f"requirements files include each other: {names}", hint="remove one of the -r lines"
            )
        for number, line in _logical_lines(_text(path)):
            self._line(line, f"{path.name}, line {number}", path, (*including, path))

    def _line(self, line: str, where: str, path: Path, including: tuple[Path, ...]) -> None:
        if include := _INCLUDE.fullmatch(line):
            self.read(self._included(include["path"].strip("\"' "), where, path), including)
        elif _EDITABLE.match(line):
            raise UserError(
                f"{where}: an editable requirement cannot be a dependency of a wheel: {line}",
                hint="name the distribution and a version, or `NAME @ URL`",
            )
        elif line.startswith("-"):
            option = re.split(r"[\s=]", line, maxsplit=1)[0]
            if option not in _HARMLESS:
                # Only the option's name: an index's URL may hold a password.
                self.warnings.append(
                    f"{where}: {option} is for the installer; the wheel's metadata cannot carry it"
                )
        else:
            self._requirement(line, where)

    def _included(self, name: str, where: str, path: Path) -> Path:
        included = path.parent / name
        if included.resolve().parent != self.directory.resolve():
            raise UserError(
                f"{where}: -r {name} leaves {self.directory.name}/, the only directory that is "
                "packaged",
                hint=f"move {name} into {self.directory.name}/",
            )
        if not included.is_file():
            raise UserError(
                f"{where}: there is no {name} in {self.directory.name}/",
                hint="create it or remove the line",
            )
        return included

    def _requirement(self, line: str, where: str) -> None:
        from packaging.requirements import InvalidRequirement, Requirement
        from packaging.utils import canonicalize_name

        text = _HASH.sub("", f"{line} ").strip()
        if _VARIABLE.search(text):
            raise UserError(
                f"{where}: an environment variable cannot be part of a wheel's metadata",
                hint="write the requirement without ${...}; credentials belong in pip's settings",
            )
        if " --" in text:
            text, _, options = text.partition(" --")
            option = re.split(r"[\s=]", options, maxsplit=1)[0]
            self.warnings.append(
                f"{where}: --{option} is for the installer; the wheel's metadata cannot carry it"
            )
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            raise UserError(
                f"{where}: {text!r} is no requirement: {str(error).splitlines()[0]}",
                hint=_advice(text),
            ) from error
        self.found.setdefault(str(requirement), canonicalize_name(requirement.name))


def _advice(text: str) -> str:
    if "://" in text or text.startswith((".", "/")) or text.endswith((".whl", ".tar.gz")):
        return "write `NAME @ URL`; a wheel's metadata cannot name a file of this machine"
    return "write it as PEP 508 has it: NAME[EXTRA] >= VERSION ; MARKER"


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(
            f"cannot read {path}: {error.strerror}", hint="check the rights of the file"
        ) from error
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise UserError(f"{path.name}, line {line}: not UTF-8", hint="save it as UTF-8") from error


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines joined at a trailing backslash, without comments; with the number of their first one.

    A comment line ends a continuation, as pip has it.
    """
    pending: list[str] = []
    first = 0
    for number, line in enumerate(text.splitlines(), start=1):
        comment_line = line.lstrip().startswith("#")
        if not pending:
            first = number
        if line.endswith("\\") and not comment_line:
            pending.append(line[:-1])
            continue
        pending.append(f" {line}" if comment_line else line)
        joined = _COMMENT.sub("", "".join(pending)).strip()
        pending = []
        if joined:
            yield first, joined
    joined = _COMMENT.sub("", "".join(pending)).strip()
    if joined:
        yield first, joined
