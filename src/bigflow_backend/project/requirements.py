"""``resources/requirements.txt`` -> Requires-Dist.

The file's syntax is pip's: https://pip.pypa.io/en/stable/reference/requirements-file-format/
What an installer may use and metadata cannot say is told in a warning; what would change the
meaning of the metadata is an error. Nothing is dropped without a word.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project

_COMMENT = re.compile(r"(^|\s+)#.*$")
_VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}")
_HASH = re.compile(r"\s--hash(?:=|\s+)\S+")
_INCLUDE = re.compile(r"(?:-r\s*|--requirement(?:\s+|\s*=\s*))(?P<path>.+)")
_EDITABLE = re.compile(r"-e|--editable\b")
_OPTION = re.compile(r"--[\w-]*|-\w?")
_CREDENTIALS = re.compile(r"//[^/@\s]*@")
_CODING = re.compile(rb"^#.*?coding[:=][ \t]*([-\w.]+)")  # https://peps.python.org/pep-0263/

_HARMLESS = ("--require-hashes",)
"""Options that say how to install, and are kept by other means."""
_FOR_THE_INSTALLER = (
    "-i", "--index-url", "--extra-index-url", "--no-index", "-c", "--constraint", "-f",
    "--find-links", "--no-binary", "--only-binary", "--prefer-binary", "--no-require-hashes",
    "--pre", "--all-releases", "--only-final", "--trusted-host", "--use-feature",
)  # fmt: skip
_OF_A_REQUIREMENT = ("--config-settings", "--global-option", "--hash")
_OPTIONS = (*_HARMLESS, *_FOR_THE_INSTALLER, "-r", "--requirement", "-e", "--editable")
"""All that pip knows; of two of them ``_INCLUDE`` and ``_EDITABLE`` take care."""


@dataclass(frozen=True)
class Requirements:
    """The dependencies of a project."""

    specifiers: tuple[str, ...] = ()
    """One PEP 508 requirement each, normalised, in the order of the file, each once."""
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
        warnings=tuple(reader.warnings),
    )


def refuse_bigflow(project: Project) -> None:
    """
    :raises UserError: when the project requires ``bigflow``, another distribution on the index with
        an import package of the same name: in one environment they overwrite each other's files.
    """
    file = project.requirements
    stated = project.pyproject.get("project", {}).get("dependencies", ())
    for place, specifiers in (
        (f"{file.parent.name}/{file.name}", read_requirements(file).specifiers),
        ("pyproject.toml [project] dependencies", stated if isinstance(stated, list) else ()),
    ):
        if names_bigflow(specifiers):
            raise UserError(
                f"{place} requires bigflow, whose files overwrite those of bigflow-backend",
                hint="replace it by bigflow-backend",
            )


def names_bigflow(specifiers: Iterable[object]) -> bool:
    """Whether one of the requirements is of ``bigflow``; what is no requirement is not."""
    names = (_NAME.match(str(specifier)) for specifier in specifiers)
    return any(name is not None and name[1].lower() == "bigflow" for name in names)


_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


@dataclass
class _Reader:
    directory: Path
    found: dict[str, None] = field(default_factory=dict)
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
                f"{where}: an editable requirement cannot be a dependency of a wheel",
                hint="name the distribution and a version, or `NAME @ URL`",
            )
        elif line.startswith("-"):
            self._option(line, where, _OPTIONS)
        else:
            self._requirement(line, where)

    def _option(self, text: str, where: str, known: tuple[str, ...]) -> None:
        # Only the option's name is told: an index's URL may hold a password.
        match = _OPTION.match(text)
        option = match.group() if match else text
        if option not in known:
            raise UserError(
                f"{where}: {option} is no option of a requirements file",
                hint=did_you_mean(option, known),
            )
        if option not in _HARMLESS:
            self.warnings.append(
                f"{where}: {option} is for the installer; the wheel's metadata cannot carry it"
            )

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

        text = _HASH.sub("", f"{line} ").strip()
        if _VARIABLE.search(text):
            raise UserError(
                f"{where}: an environment variable cannot be part of a wheel's metadata",
                hint="write the requirement without ${...}; credentials belong in pip's settings",
            )
        if " --" in text:
            text, _, options = text.partition(" --")
            self._option(f"--{options}", where, _OF_A_REQUIREMENT)
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            raise UserError(
                f"{where}: {_CREDENTIALS.sub('//', text)!r} is no requirement: "
                + str(error).splitlines()[0],
                hint=_advice(text),
            ) from error
        if (requirement.url or "").lower().startswith("file:"):
            self.warnings.append(
                f"{where}: {requirement.name} is a file of this machine; on another one the wheel "
                "cannot be installed"
            )
        self.found[str(requirement)] = None


def _advice(text: str) -> str:
    if "://" in text or text.startswith((".", "/")) or text.endswith((".whl", ".tar.gz")):
        return "write `NAME @ URL`; a wheel's metadata cannot name a file of this machine"
    return "write it as PEP 508 has it: NAME[EXTRA] >= VERSION ; MARKER"


def _text(path: Path) -> str:
    """The file's text: in the encoding of its byte order mark or its comment, else in UTF-8.

    https://pip.pypa.io/en/stable/reference/requirements-file-format/#encoding
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"cannot read {path}: {error.strerror}", hint="check the rights of the file"
        ) from error
    encoding = _encoding(data)
    try:
        return data.decode(encoding)
    except LookupError as error:
        raise UserError(
            f"{path.name}, line 1: there is no encoding {encoding!r}", hint="save it as UTF-8"
        ) from error
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UserError(
            f"{path.name}, line {line}: not {encoding.upper().removesuffix('-SIG')}",
            hint="save it as UTF-8",
        ) from error


def _encoding(data: bytes) -> str:
    for mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        if data.startswith(mark):
            return "utf-16"
    for line in data.split(b"\n")[:2]:
        if coding := _CODING.match(line):
            return coding[1].decode("ascii")
    return "utf-8-sig"


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
