"""The code blocks of the documentation, and what a reader does with them, page by page.

``sh`` and ``console`` blocks run. A line that a ``console`` block shows must be printed; words with
digits, such as versions, hashes and sizes, may differ, and ``...`` stands for any text. ``python``
blocks run, one after the other. ``toml``, ``json`` and ``yaml`` blocks are read by the code that
reads such a file; a ``before_script`` runs. A block with a title, as in
```` ```toml title="pyproject.toml" ````, is written into that file of the project; lines for an
existing ``pyproject.toml`` are added to it.

A page may have these comments, each on a line of its own, which its reader does not see:

``<!-- scene: NAME -->``
    The next blocks start where ``tests/docs/scenes/NAME.sh`` ends.
``<!-- run: COMMAND -->``
    A command that the page does not show.

And before a block:

``<!-- fails -->``
    The last command of the block fails.
``<!-- shows: FILE -->``
    The block is a part of that file. It is not written.
``<!-- not run: REASON -->``
    Nothing is done with the block. Drawings and other ``text`` need it, too.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import tomlkit
import yaml

from bigflow_backend.ground.foreign.toml import parse_toml
from bigflow_backend.ground.settings.machine import machine_settings
from bigflow_backend.ground.settings.values import read_table
from bigflow_backend.image.dockerfile import read_dockerfile
from bigflow_backend.project.settings import Settings
from bigflow_backend.project.settings_sources import surroundings
from bigflow_backend.rehearsal.inputs import read_inputs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping

REPOSITORY = Path(__file__).parents[2]
SHELL = frozenset({"console", "sh"})
_FILES = frozenset({"jinja", "text"})
"""The kinds of blocks of which nothing is known but that they are a file."""
_KINDS = SHELL | _FILES | {"dockerfile", "json", "python", "toml", "yaml"}
_INSTRUCTIONS = frozenset({"ARG", "FROM", "RUN", "COPY", "ENV", "USER", "WORKDIR", "LABEL"})
_SECONDS = 900
_PART = re.compile(
    r"^ *<!-- (?P<mark>scene|run|fails|shows|not run)(?:: (?P<value>[^\n]*?))? -->$"
    r"|^(?P<indent> *)(?P<fence>`{3,})(?P<kind>[\w-]*)(?: title=\"(?P<title>[^\"]+)\")?[^\n`]*\n"
    r"(?P<text>.*?)^(?P=indent)(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
# A version, a hash, a time, a size: these change with each build.
_CHANGING = re.compile(r"\b\d[\d.]* (?:B|kB|MB|GB|s|min)\b|[^\s'\"/@]*\d[^\s'\"/@]*(?<!^\d)")
_WHOLE_NUMBER = re.compile(r"\d{1,3}")


@dataclass(frozen=True)
class Part:
    """A code block, or a comment for the test between two blocks."""

    line: int
    kind: str
    """The language of the block, or ``scene`` or ``run``."""
    text: str
    title: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_declared(self) -> bool:
        """True if the block is of a known kind, or the page says why nothing is done with it."""
        is_known = self.kind in _KINDS and (self.kind not in _FILES or bool(self.title))
        return is_known or bool(self.marks.get("not run"))


def pages() -> list[Path]:
    """Return README.md and the pages of ``docs/``."""
    return [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


def read_page(text: str) -> Iterator[Part]:
    """Yield the blocks of a page, and the comments between them, in their order."""
    marks: dict[str, str] = {}
    for found in _PART.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        if found["mark"] in {"scene", "run"}:
            yield Part(line, found["mark"], found["value"])
        elif found["mark"]:
            marks[found["mark"]] = found["value"] or ""
        else:
            content = re.sub(rf"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
            yield Part(line, found["kind"], content, found["title"] or "", marks)
            marks = {}


@dataclass
class Reader:
    """Somebody who follows a page in a shell, in a directory of their own."""

    home: Path
    environment: dict[str, str]
    names: dict[str, str] = field(default_factory=dict)
    """Names of the page, such as ``registry.example.com``, and those that are used for them."""
    python: dict[str, Any] = field(default_factory=dict)

    @property
    def _state(self) -> Path:
        """A script that brings the variables and the directory of the shell back."""
        return self.home.with_name(f"{self.home.name}.state")

    @property
    def directory(self) -> Path:
        """The current directory of the shell."""
        if not self._state.exists():
            return self.home
        return Path(self._state.read_text("utf-8").splitlines()[-1].removeprefix("# "))

    def copy(self, other: Reader) -> None:
        """Bring another reader, who has done nothing, to the place of this one."""
        shutil.copytree(self.home, other.home, symlinks=True, dirs_exist_ok=True)
        state = self._state.read_text("utf-8")
        for old, new in ((self.home, other.home), (self.home.parent, other.home.parent)):
            state = state.replace(str(old), str(new))
        other._state.write_text(state, "utf-8")

    def do(self, part: Part) -> None:
        """Do what the page says.

        :raises AssertionError: if the page is wrong.
        """
        text = part.text
        for name, real in self.names.items():
            text = text.replace(name, real)
        if part.kind in {"run", "sh"}:
            self._run(f"set -e\n{text}", "", fails="fails" in part.marks)
        elif part.kind == "console":
            sessions = text.removeprefix("$ ").split("\n$ ")
            for number, session in enumerate(sessions, start=1):
                command = re.match(r"(?:.*\\\n)*.*", session)[0]  # type: ignore[index]
                last = number == len(sessions)
                shown = session[len(command) :]
                self._run(command, shown, fails="fails" in part.marks and last)
        elif "shows" in part.marks:
            content = (self.directory / part.marks["shows"]).read_text("utf-8")
            assert "\n".join(_lines(text)) in "\n".join(_lines(content)), content
        else:
            _check(part.kind, text)
            if part.kind == "yaml" and text.startswith("before_script:"):
                self._run("\n".join(["set -e", *yaml.safe_load(text)["before_script"]]), "")
            if part.title:
                self._write(part.title, text)
            elif part.kind == "python":
                self.python["__file__"] = str(self.directory / "a.py")
                exec(compile(text, f"<line {part.line}>", "exec"), self.python)

    def _write(self, name: str, text: str) -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.name == "pyproject.toml" and path.exists():
            document = tomlkit.parse(path.read_text("utf-8"))
            _add(document, tomlkit.parse(text))
            text = tomlkit.dumps(document)
        path.write_text(text, "utf-8")

    def _run(self, command: str, shown: str, *, fails: bool = False) -> None:
        state = self._state
        keep = f'{{ export -p; echo "cd $(printf %q "$PWD")"; echo "# $PWD"; }} >{state}'
        script = f"trap '{keep}' EXIT\n[ ! -f {state} ] || . {state}\n{command}\n"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        assert (done.returncode != 0) == fails, f"{command}\n{done.stdout}"
        printed = [_unchanging(line) for line in done.stdout.splitlines()]
        for line in _lines(shown):
            pattern = re.compile(".*".join(map(re.escape, _unchanging(line).split("..."))))
            assert any(map(pattern.search, printed)), f"{command}: {line!r} in\n{done.stdout}"


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _unchanging(line: str) -> str:
    words = _CHANGING.sub(lambda m: m[0] if _WHOLE_NUMBER.fullmatch(m[0]) else "#", line)
    return " ".join(words.split())


def _add(document: MutableMapping[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and key in document:
            _add(document[key], value)
        else:
            document[key] = value


def _check(kind: str, text: str) -> None:
    """Read the text as what reads such a file.

    :raises Exception: if it is not valid.
    """
    if kind == "json":
        json.loads(text)
    elif kind == "yaml":
        yaml.safe_load(text)
    elif kind in {"dockerfile", "toml"}:
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory, "bigflow/config.toml")  # the user's, if it is not another one
            file.parent.mkdir()
            file.write_text(text, "utf-8")
            if kind == "toml":
                _check_toml(parse_toml(text), file)
            else:
                assert {i.keyword for i in read_dockerfile(file).instructions} <= _INSTRUCTIONS


def _check_toml(document: dict[str, Any], file: Path) -> None:
    if document.keys() <= {"network", "variables", "secrets", "configmaps"}:
        read_inputs(file, file.parent)
    elif document.keys() <= {"build-system", "project", "dependency-groups", "tool"}:
        table = document.get("tool", {}).get("bigflow", {})
        read_table(Settings, table, key="tool.bigflow", source="pyproject.toml")
    else:
        with mock.patch.dict(os.environ, {"XDG_CONFIG_HOME": str(file.parents[1])}):
            machine_settings()
            list(surroundings({}))
