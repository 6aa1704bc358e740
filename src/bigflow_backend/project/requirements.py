"""``resources/requirements.txt`` -> the requirements and options in it.

The wheel's metadata and the image's layers are made from this one reading. The syntax is pip's:
https://pip.pypa.io/en/stable/reference/requirements-file-format/
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError, did_you_mean
from bigflow_backend.ground.files import has_file, read_bounded
from bigflow_backend.ground.foreign.urls import redacted
from bigflow_backend.ground.limits import PROJECT_FILE

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_COMMENT = re.compile(r"(^|\s+)#.*$")
_VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}")
_HASH = re.compile(r"\s--hash(?:=|\s+)\S+")
_OPTION = re.compile(r"(?P<name>--[\w-]+|-\w)\s*=?\s*(?P<value>.*)")
_CODING = re.compile(rb"^#.*?coding[:=][ \t]*([-\w.]+)")  # https://peps.python.org/pep-0263/

_PIN = re.compile(
    r"[A-Za-z0-9._-]+(\[[^]]*\])?\s*==\s*(?P<version>[A-Za-z0-9.+!_-]+)\s*(?:;|\\|--|$)"
)

REQUIREMENTS = "resources/requirements.txt"
"""The file, relative to the project."""
OURS = "bigflow-backend"
"""The distribution that provides ``bigflow``, instead of BigFlow's own."""
_BIGFLOW = re.compile(r"\s*bigflow(?![\w.-])", re.IGNORECASE)
_EXTRAS = re.compile(r"[^;\[]*\[([^\]]*)\]")
_PATH_OPTIONS = ("-c", "--constraint", "-f", "--find-links")

_INCLUDES = ("-r", "--requirement")
_EDITABLE = ("-e", "--editable")
_HARMLESS = ("--require-hashes",)
"""Options that other means already take care of."""
_FOR_THE_INSTALLER = (
    "-i", "--index-url", "--extra-index-url", "--no-index", "-c", "--constraint", "-f",
    "--find-links", "--no-binary", "--only-binary", "--prefer-binary", "--no-require-hashes",
    "--pre", "--all-releases", "--only-final", "--trusted-host", "--use-feature",
)  # fmt: skip
_OF_A_REQUIREMENT = ("--config-settings", "--global-option", "--hash")
_OPTIONS = (*_HARMLESS, *_FOR_THE_INSTALLER, *_INCLUDES, *_EDITABLE)


@dataclass(frozen=True)
class RequirementLine:
    """A line that requires a distribution."""

    name: str
    """The normalised name of the distribution."""
    specifier: str
    """The requirement as PEP 508 has it, normalised."""
    text: str
    """The whole line, with its hashes and without its comment; continued lines are joined."""
    where: str
    """The file and the line, such as ``requirements.txt, line 3``."""
    is_local: bool
    """True for ``NAME @ file:...``."""

    @property
    def pinned_version(self) -> str | None:
        """The version of ``NAME==VERSION``, else None."""
        match = _PIN.match(self.text)
        return match["version"] if match else None


@dataclass(frozen=True)
class OptionLine:
    """An option for the installer."""

    name: str
    """The option as it is written, such as ``-i`` or ``--index-url``."""
    value: str
    """Without quotes; empty for an option without a value."""
    text: str
    """The option with its value, as it is written."""

    @property
    def names_a_file(self) -> bool:
        """True if the value may be a path."""
        return self.name in _PATH_OPTIONS


@dataclass(frozen=True)
class Requirements:
    """The content of a requirements file and of the files that it includes, in their order."""

    lines: tuple[RequirementLine, ...] = ()
    options: tuple[OptionLine, ...] = ()
    warnings: tuple[str, ...] = ()
    """Sentences about what the metadata of a wheel cannot contain, with file and line."""
    files: tuple[Path, ...] = ()
    """The file and the files that it includes."""
    bigflow: tuple[str, ...] = ()
    """The places that require ``bigflow``; the lines here require ``bigflow-backend``."""
    bigflow_extras: tuple[str, ...] = ()
    """The extras that these requirements name: ``bigflow-backend`` has none of them."""

    @property
    def specifiers(self) -> tuple[str, ...]:
        """The requirements for ``Requires-Dist``, without duplicates."""
        return tuple(dict.fromkeys(line.specifier for line in self.lines))


def read_requirements(path: Path, *, anywhere: bool = False) -> Requirements:
    """Return what the file ``path`` and the files that it includes with ``-r`` say.

    A file that does not exist has no requirements.

    :param anywhere: also accept included files outside the file's directory.

    :raises UserError: with file and line, for an invalid, editable or local requirement, a missing
        ``-r`` file, a file outside the file's directory, or a cycle of files.
    """
    if not has_file(path):
        return Requirements()
    reader = _Reader(directory=None if anywhere else path.parent)
    reader.read(path, including=())
    return Requirements(
        lines=tuple(reader.lines),
        options=tuple(reader.options),
        warnings=tuple(reader.warnings),
        files=tuple(dict.fromkeys(reader.files)),
        bigflow=tuple(reader.bigflow),
        bigflow_extras=tuple(reader.bigflow_extras),
    )


def stated_requirements(stated: Iterable[object], place: str) -> Requirements:
    """Return the requirements of a list in pyproject.toml. ``place`` names it in messages.

    :raises UserError: for a requirement that is not valid.
    """
    reader = _Reader(directory=Path())
    for item in stated:
        reader.add(str(item).strip(), place)
    return Requirements(
        lines=tuple(reader.lines), warnings=tuple(reader.warnings), bigflow=tuple(reader.bigflow)
    )


def installable(path: Path, directory: Path, *, absolute: bool) -> Path:
    """Return a file with the same requirements that requires ``bigflow-backend``, not ``bigflow``.

    It is ``path`` itself, or a new file in ``directory`` with the content of all included files.
    With ``absolute``, the paths in its options are absolute.

    :raises UserError: as :func:`read_requirements`.
    """
    found = read_requirements(path)
    if not found.bigflow:
        return path
    options = found.options
    if absolute:
        options = tuple(absolute_option(option, path.parent) for option in options)
    lines = [*(option.text for option in options), *(line.text for line in found.lines)]
    new = directory / path.name
    new.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return new


def parsed_requirements(text: str, place: str) -> Requirements:
    """Return the requirements of a text in pip's syntax that another tool made from a lock.

    :raises UserError: for a line that is not a requirement.
    """
    reader = _Reader(directory=Path())
    for _, line in logical_lines(text):
        reader.add(line, place)
    return Requirements(lines=tuple(reader.lines))


def absolute_option(option: OptionLine, directory: Path) -> OptionLine:
    """Return the option with an absolute path, if its value is a path relative to ``directory``."""
    path = directory / option.value
    if not option.names_a_file or not path.exists():
        return option
    value = str(path.absolute())
    return OptionLine(name=option.name, value=value, text=f"{option.name} {value}")


def is_bigflow(requirement: object) -> bool:
    """Return True for a requirement of the distribution ``bigflow``, which need not be valid."""
    return _BIGFLOW.match(str(requirement)) is not None


def extras_of(requirement: str) -> list[str]:
    """Return the extras in a requirement, which need not be valid."""
    found = _EXTRAS.match(requirement)
    return [extra.strip() for extra in found[1].split(",") if extra.strip()] if found else []


def ours(requirement: str) -> str:
    """Return a requirement of ``bigflow-backend`` for one of ``bigflow``, else the same.

    ``bigflow-backend`` has other versions and extras, and the same import package.
    """
    if not is_bigflow(requirement):
        return requirement
    # After a URL, a marker needs a space: https://peps.python.org/pep-0508/
    _, semicolon, marker = requirement.partition(" ;" if "@" in requirement else ";")
    return f"{OURS}; {marker.strip()}" if semicolon else OURS


@dataclass
class _Reader:
    directory: Path | None
    """The directory of all files; None if they can be anywhere."""
    lines: list[RequirementLine] = field(default_factory=list)
    options: list[OptionLine] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    bigflow: list[str] = field(default_factory=list)
    bigflow_extras: list[str] = field(default_factory=list)

    def read(self, path: Path, including: tuple[Path, ...]) -> None:
        if path in including:
            names = " -> ".join(p.name for p in (*including[including.index(path) :], path))
            raise UserError(
                f"requirements files include each other: {names}", hint="remove one of the -r lines"
            )
        self.files.append(path)
        for number, line in logical_lines(read_requirements_text(path)):
            where = f"{path.name}, line {number}"
            if not line.startswith("-"):
                self.add(line, where)
                continue
            for text in re.split(r"\s+(?=-)", line):  # a line may have several options
                option = _parsed_option(text, where, _OPTIONS)
                if option.name in _INCLUDES:
                    included = self._included(option.value, where, path)
                    self.read(included, (*including, path))
                else:
                    self._option(option, where)

    def _option(self, option: OptionLine, where: str) -> None:
        if option.name in _EDITABLE:
            raise UserError(
                f"{where}: an editable requirement cannot be a dependency of a wheel",
                hint="write the name and the version of the distribution, or `NAME @ URL`",
            )
        self.options.append(option)
        self._warn_of(option, where)

    def _warn_of(self, option: OptionLine, where: str) -> None:
        # The warning has only the option's name: an index's URL may hold a password.
        if option.name not in _HARMLESS:
            self.warnings.append(
                f"{where}: {option.name} is for the installer; the wheel's metadata cannot "
                "contain it"
            )

    def _included(self, name: str, where: str, path: Path) -> Path:
        included = path.parent / name
        directory = self.directory
        exists = has_file(included)
        if directory is not None and included.resolve().parent != directory.resolve():
            raise UserError(
                f"{where}: -r {name} is outside {directory.name}/, the only directory that is "
                "packaged",
                hint=f"move {name} into {directory.name}/",
            )
        if not exists:
            raise UserError(
                f"{where}: {path.parent.name}/{name} does not exist",
                hint="write a space before the comment"
                if "#" in name
                else "create the file or remove the line",
            )
        return included

    def add(self, line: str, where: str) -> None:
        from packaging.utils import canonicalize_name

        text = _HASH.sub("", f"{line} ").strip()
        if _VARIABLE.search(text):
            raise UserError(
                f"{where}: an environment variable cannot be part of a wheel's metadata",
                hint="write the requirement without ${...}; credentials belong in pip's settings",
            )
        if " --" in text:
            text, _, options = text.partition(" --")
            self._warn_of(_parsed_option(f"--{options}", where, _OF_A_REQUIREMENT), where)
        if is_bigflow(text):
            self.bigflow.append(where)
            self.bigflow_extras += extras_of(text)
            line = text = ours(text)
        requirement = _parsed_requirement(text, where)
        is_local = (requirement.url or "").lower().startswith("file:")
        self.lines.append(
            RequirementLine(
                name=str(canonicalize_name(requirement.name)),
                specifier=str(requirement),
                text=line,
                where=where,
                is_local=is_local,
            )
        )


def _parsed_option(text: str, where: str, known: tuple[str, ...]) -> OptionLine:
    match = _OPTION.match(text)
    name = match["name"] if match else text.split(maxsplit=1)[0]
    if match is None or name not in known:
        raise UserError(
            f"{where}: {name} is not an option of a requirements file",
            hint=did_you_mean(name, known),
        )
    return OptionLine(name=name, value=match["value"].strip("\"' "), text=text)


def _parsed_requirement(text: str, where: str) -> Requirement:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.version import InvalidVersion, Version

    shown = repr(redacted(text).replace("***@", ""))
    try:
        requirement = Requirement(text)
        for specifier in requirement.specifier:
            # After === packaging takes any text, and no installer finds such a version.
            if specifier.operator == "===":
                Version(specifier.version)
    except (InvalidRequirement, InvalidVersion) as error:
        raise UserError(
            f"{where}: {shown} is not a valid requirement: {str(error).splitlines()[0]}",
            hint=_advice(text),
        ) from error
    return requirement


def _advice(text: str) -> str:
    if "://" in text or text.startswith((".", "/")) or text.endswith((".whl", ".tar.gz")):
        return "write `NAME @ URL`; a wheel's metadata cannot name a file of this machine"
    single = re.fullmatch(r"(\w[\w.\[\], -]*?)\s*=\s*([\w.!+*-]+)", text)
    if single:
        return f"write {single[1]}=={single[2]}, with two equals signs"
    return "write NAME, NAME >= VERSION, or NAME[EXTRA] == VERSION ; MARKER"


def read_requirements_text(path: Path) -> str:
    """Return the text of a requirements file.

    Its byte order mark or its first comment states the encoding; the default is UTF-8.
    https://pip.pypa.io/en/stable/reference/requirements-file-format/#encoding
    """
    data = read_bounded(path, PROJECT_FILE)
    encoding = _encoding(data)
    try:
        return data.decode(encoding)
    except LookupError as error:
        raise UserError(
            f"{path.name}, line 1: {encoding!r} is not a known encoding",
            hint="save the file as UTF-8",
        ) from error
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UserError(
            f"{path.name}, line {line}: not {encoding.upper().removesuffix('-SIG')}",
            hint="save the file as UTF-8",
        ) from error


def _encoding(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    for line in data.split(b"\n")[:2]:
        if coding := _CODING.match(line):
            return coding[1].decode("ascii")
    return "utf-8-sig"


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines without comments, joined at a trailing backslash, with their first number.

    A comment line ends a continuation, as in pip.
    """
    pending: list[str] = []
    first = 0
    for number, line in enumerate((*text.splitlines(), ""), start=1):
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
