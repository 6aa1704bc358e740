"""Reading a Dockerfile: as much of it as the builders need to know.

https://docs.docker.com/reference/dockerfile/
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bigflow_backend.ground.errors import UserError

STANDARD = Path(__file__).with_name("templates") / "Dockerfile"
"""The Dockerfile that serves a project without wishes of its own."""


@dataclass(frozen=True)
class Instruction:
    """One instruction, its continuation lines joined and comments left out."""

    line: int
    """Where it starts, counted from 1."""
    keyword: str
    """In upper case: ``FROM``, ``RUN``, ..."""
    value: str


@dataclass(frozen=True)
class Dockerfile:
    """The instructions of a Dockerfile; the engine numbers its steps after them."""

    text: str
    instructions: tuple[Instruction, ...]

    @cached_property
    def arguments(self) -> dict[str, str | None]:
        """The names that ``ARG`` declares, in any stage, and the default of the first one."""
        found: dict[str, str | None] = {}
        for instruction in self.instructions:
            if instruction.keyword == "ARG":
                for word in _words(instruction.value):
                    name, has_default, default = word.partition("=")
                    found.setdefault(name, default if has_default else None)
        return found

    def base_image(self, build_args: Mapping[str, str]) -> str | None:
        """The image that the last stage starts from, with the values of ``ARG`` put in."""
        stages: dict[str, str] = {}
        base = None
        for instruction in self.instructions:
            if instruction.keyword != "FROM":
                continue
            base = self.image_of(instruction, build_args)
            if base is None:
                return None  # the engine will say what is wrong with it
            words = _image_words(instruction)
            base = stages.get(base.lower(), base)
            if len(words) > 2 and words[1].upper() == "AS":  # noqa: PLR2004 - FROM image AS name
                stages[words[2].lower()] = base
        return base

    def image_of(self, instruction: Instruction, build_args: Mapping[str, str]) -> str | None:
        """What a ``FROM`` names, with the values of ``ARG`` put in."""
        words = _image_words(instruction)
        return self._expanded(words[0], build_args) if words else None

    def _expanded(self, text: str, build_args: Mapping[str, str]) -> str:
        def value(match: re.Match[str]) -> str:
            name, default = match["braced"] or match["plain"], match["default"]
            return build_args.get(name) or self.arguments.get(name) or default or ""

        return _VARIABLE.sub(value, text)


_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?::-(?P<default>[^}]*))?\}|(?P<plain>\w+))")
_INSTRUCTION = re.compile(r"\s*(?P<keyword>\w+)(?:\s+(?P<value>.*))?", re.DOTALL)


def read_dockerfile(path: Path) -> Dockerfile:
    """The Dockerfile at ``path``. Its syntax is left for the engine to judge.

    :raises UserError: when there is none, or it cannot be read.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise UserError(
            f"there is no {path.name} in {path.parent}",
            hint=f"start with the standard one: cp {STANDARD} {path}",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}", hint="check the file") from error
    return Dockerfile(text, tuple(_instructions(text)))


def _instructions(text: str) -> list[Instruction]:
    found = []
    start, parts = 0, list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue  # within a continued instruction, too
        if not parts:
            start = number
        continued = line.rstrip().endswith("\\")
        parts.append(line.rstrip().removesuffix("\\").strip())
        if not continued:
            found.append(_instruction(start, " ".join(parts)))
            parts = []
    if parts:
        found.append(_instruction(start, " ".join(parts)))
    return found


def _instruction(line: int, text: str) -> Instruction:
    match = _INSTRUCTION.match(text)
    if match is None:
        return Instruction(line, "", text)
    return Instruction(line, match["keyword"].upper(), (match["value"] or "").strip())


def _image_words(instruction: Instruction) -> list[str]:
    """``image AS name`` of a ``FROM``."""
    return [word for word in _words(instruction.value) if not word.startswith("--")]


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # an open quote: the engine will say so
        return text.split()
