"""The pages of docs/reference that are made from the source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from argparse import SUPPRESS
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from reference import commands, errors
from reference.errors import Causes, entries, plain
from reference.messages import error_classes, messages
from reference.texts import Source, called

from bigflow_backend.cli.commands import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).parents[1]
_MOST_WORDS = 20
_MOST_PASSED_ON = 40
"""Places that pass a message on. A larger number shows that messages are not understood."""
_MODULE = """
from bigflow_backend.ground.errors import UserError

_LIMIT = 2 * 1024

def check(name, size):
    if size > _LIMIT:
        raise UserError(f"{name!r} has more than {_LIMIT:,} bytes", hint="make it smaller")
    if not name:
        word = "a file" if size else "a directory"
        raise UserError(f"{word} has no name", hint=f"rename it: mv {name} NAME")
    raise refused(name, "neither long nor short")

def refused(name, why):
    return UserError(f"{name} is {why}", hint="write another one")

def other(name):
    raise refused(name, "strange")

def again(error):
    raise UserError(error.message, hint=error.hint)
"""


@pytest.fixture(scope="module")
def source() -> Source:
    return Source(_ROOT / "src")


def _of(tmp_path: Path, text: str) -> Source:
    (tmp_path / "module.py").write_text(text, "utf-8")
    return Source(tmp_path)


def test_messages_of_a_module(tmp_path: Path) -> None:
    found = [
        ([plain(text) for text in message.texts], [plain(fix) for fix in message.fixes])
        for message in messages(_of(tmp_path, _MODULE))
    ]
    assert sorted(found) == [
        (["'<name>' has more than 2,048 bytes"], ["make it smaller"]),
        (["<name> is neither long nor short"], ["write another one"]),
        (["<name> is strange"], ["write another one"]),
        (["a file has no name", "a directory has no name"], ["rename it: mv <name> NAME"]),
    ]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("name = f'x{name}'", "x<name>!"),  # a value that has itself
        ("name = ' '.join(name)", "<name>!"),
        ("name = other(name)", "<name>!"),
        ("name = 'x' if name else other(name)", "x!"),
    ],
)
def test_a_variable_in_a_message(tmp_path: Path, change: str, text: str) -> None:
    module = f"def f(name):\n    {change}\n    raise UserError(f'{{name}}!', hint='fix it')\n"
    (message,) = messages(_of(tmp_path, module))
    assert plain(message.texts[0]) == text


@pytest.mark.slow
def test_every_error_is_on_the_page(source: Source) -> None:
    on_page = {site for entry in entries(source) for site in entry.sites}
    kinds = error_classes(source)
    missing = {
        (module.name, node.lineno): ast.unparse(node)
        for module in source.modules.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and called(node) in kinds
        if node.args and (module.name, node.lineno) not in on_page
    }
    # What is left passes the message of another error on, without words of its own.
    words = {site: text for site, text in missing.items() if _has_words(text)}
    assert words == {}
    assert len(missing) < _MOST_PASSED_ON


def _has_words(text: str) -> bool:
    call = ast.parse(text, mode="eval").body
    assert isinstance(call, ast.Call)
    message = call.args[0]
    parts = message.values if isinstance(message, ast.JoinedStr) else [message]
    return any(
        isinstance(part, ast.Constant) and any(c.isalpha() for c in str(part.value))
        for part in parts
    )


@pytest.mark.slow
def test_every_error_has_a_cause_and_a_fix(source: Source) -> None:
    causes = Causes()
    found = {entry.key: causes.of(entry) for entry in entries(source)}
    assert [key for key, cause in found.items() if cause is None] == []
    assert causes.lines - causes.used == set(), "the source does not have these messages"
    assert [
        entry.key
        for entry in entries(source)
        if not entry.fixes and not ((cause := found[entry.key]) and cause.fix)
    ] == []


@pytest.mark.slow
def test_sentences_are_short() -> None:
    long = [
        sentence
        for text in (cause.text for cause in Causes().all())
        for sentence in re.split(r"(?<=[.:;])\s", text)
        if len(sentence.split()) > _MOST_WORDS or not text.endswith(".")
    ]
    assert long == []


@pytest.mark.slow
@pytest.mark.parametrize("page", [commands, errors])
def test_links_lead_to_headings(page: object, source: Source) -> None:
    text = page.page(source)  # type: ignore[attr-defined]
    anchors = {_anchor(line) for line in text.splitlines() if line.startswith("#")}
    assert {link for link in re.findall(r"\]\(#([^)]+)\)", text) if link not in anchors} == set()


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\s-]", "", heading.lstrip("# ")).strip().lower().replace(" ", "-")


@pytest.mark.slow
def test_every_command_and_option_is_on_the_page(source: Source) -> None:
    text = commands.page(source)
    assert list(_absent(text)) == []


def _absent(text: str) -> Iterator[str]:
    for name, command in COMMANDS.items():
        section = text.partition(f"### `bigflow {name}`\n")[2].partition("\n### ")[0]
        for option in command.options:
            shown = option.names[0].startswith("-") and option.keywords.get("help") != SUPPRESS
            if shown and option.names[0] != "--json" and f"`{option.names[0]}" not in section:
                yield f"{name} {option.names[0]}"
        has_json = any("--json" in option.names for option in command.options)
        if has_json and "`--json` prints:" not in section:
            yield f"{name} --json"


@pytest.mark.slow
def test_the_pages_are_up_to_date() -> None:
    command = [sys.executable, str(_ROOT / "scripts/reference_pages.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
