"""Messages and their causes -> ``docs/reference/errors.md``.

The message and the fix are those of the source (``messages.py``). ``causes.toml`` has the cause: a
message of the page -> what leads to it. A new message needs a line there.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from reference.markdown import markdown, slug
from reference.messages import Message, messages
from reference.texts import Hole, Source, Text

CAUSES = Path(__file__).with_name("causes.toml")
_DOCUMENTS = "Documents of other programs"
AREAS = (
    ("Command line", ("bigflow.cli", "bigflow_backend.cli")),
    (
        "Workflows, jobs and configuration",
        ("bigflow", "bigflow_backend.project.workflows"),
    ),
    ("New projects", ("bigflow_backend.scaffold",)),
    ("Versions and releases", ("bigflow_backend.version", "bigflow_backend.project.changed")),
    (
        "Dependencies and locks",
        (
            "bigflow_backend.image.dependencies",
            "bigflow_backend.image.layered.dependencies",
            "bigflow_backend.image.layered.dependency_layers",
            "bigflow_backend.image.relock",
            "bigflow_backend.image.outdated",
            "bigflow_backend.project.dependencies",
            "bigflow_backend.project.requirements",
            "bigflow_backend.project.requirements_in",
        ),
    ),
    ("Project and settings", ("bigflow_backend.project", "bigflow_backend.ground.settings")),
    ("Wheels and sdists", ("bigflow_backend.wheel",)),
    (
        "Registries and names of images",
        (
            "bigflow_backend.image.registry",
            "bigflow_backend.image.publish",
            "bigflow_backend.image.reference",
        ),
    ),
    ("Docker Engine and Podman", ("bigflow_backend.image.engine",)),
    (
        "Images and base images",
        ("bigflow_backend.image", "bigflow_backend.pipeline", "bigflow_backend.compare"),
    ),
    ("Airflow", ("bigflow_backend.dags.airflow",)),
    ("DAG files", ("bigflow_backend.dags",)),
    ("Rehearsals", ("bigflow_backend.rehearsal",)),
    ("Deployments", ("bigflow_backend.deployment",)),
    ("Files, disks and programs", ("bigflow_backend.ground", "bigflow_backend")),
    ("The DAG bundle, in Airflow's log", ("bigflow_airflow",)),
)
"""The titles of the page, and their modules: the longest name counts."""
_INTRODUCTION = """\
# Errors

An error prints two lines on stderr, and the exit status is 1. Wrong usage of a command has the
status 2.

<!-- not run: the form of a message -->
```text
bigflow: error: the problem
  the fix
```

With `--json`, stdout has the same two texts: `{"error": "the problem", "fix": "the fix"}`. A
traceback is a defect of bigflow-backend, not an error of yours.

Search this page for the words of your message that are not names of yours. Words in *italics* are
different in each message.

"""


@dataclass
class Entry:
    """A message on the page, with all that its places in the source say about it."""

    area: str
    text: Text
    others: list[Text]
    fixes: list[Text]
    sites: list[tuple[str, int]]

    @property
    def key(self) -> str:
        """The message in ``causes.toml``."""
        return plain(self.text)


@dataclass(frozen=True)
class Cause:
    """The reason for a message, and the fix if the message does not have it."""

    key: str
    text: str
    fix: str = ""


def entries(source: Source) -> list[Entry]:
    """Return the messages of the source, by area, and sorted in it."""
    found: dict[tuple[str, str], Entry] = {}
    for message in messages(source):
        area, (text, *others) = _area(message), message.texts
        if area == _DOCUMENTS:
            text = (Hole("document"), " ", *text)
        entry = found.setdefault((area, plain(text)), Entry(area, text, [], [], []))
        entry.others += [other for other in others if other not in entry.others]
        entry.fixes += [fix for fix in message.fixes if fix and fix not in entry.fixes]
        entry.sites.append(message.site)
    titles = [*(title for title, _ in AREAS), _DOCUMENTS]
    return sorted(found.values(), key=lambda e: (titles.index(e.area), e.key.lower()))


def _area(message: Message) -> str:
    if message.kind == "DocumentError":
        return _DOCUMENTS
    fitting = [
        (len(prefix), title)
        for title, prefixes in AREAS
        for prefix in prefixes
        if f"{message.module}.".startswith(f"{prefix}.")
    ]
    return max(fitting)[1]


def plain(text: Text) -> str:
    """Return a text with its holes in angle brackets."""
    return "".join(part if isinstance(part, str) else f"<{part.words}>" for part in text)


class Causes:
    """The content of ``causes.toml``."""

    def __init__(self) -> None:
        self._areas = {
            area: [_Line(key, value) for key, value in table.items()]
            for area, table in tomllib.loads(CAUSES.read_text("utf-8")).items()
        }
        self.used: set[tuple[str, str]] = set()
        """The lines that :meth:`of` has returned: their areas and keys."""

    @property
    def lines(self) -> set[tuple[str, str]]:
        return {(area, line.key) for area, lines in self._areas.items() for line in lines}

    def all(self) -> Iterator[Cause]:
        """Yield all causes."""
        for lines in self._areas.values():
            yield from (line.cause for line in lines)

    def of(self, entry: Entry) -> Cause | None:
        """Return the cause of a message: from its area, else from any other one."""
        for areas in ([entry.area], list(self._areas)):
            fitting = [
                (len(line.key), area, line)
                for area in areas
                for line in self._areas.get(area, ())
                if line.pattern.fullmatch(entry.key)
            ]
            if fitting:
                _, area, line = max(fitting, key=lambda found: found[0])
                self.used.add((area, line.key))
                return line.cause
        return None


class _Line:
    def __init__(self, key: str, value: str | dict[str, str]) -> None:
        self.key = key
        self.pattern = re.compile(".*".join(map(re.escape, key.split("..."))))
        given = {"cause": value} if isinstance(value, str) else value
        self.cause = Cause(key, given["cause"], given.get("fix", ""))


def page(source: Source) -> str:
    """Return the text of the page."""
    return _INTRODUCTION + "".join(_areas(entries(source), Causes()))


def _areas(every: list[Entry], causes: Causes) -> Iterator[str]:
    titles = list(dict.fromkeys(entry.area for entry in every))
    yield "".join(f"- [{title}](#{slug(title)})\n" for title in titles)
    for title in titles:
        yield f"\n## {title}\n"
        groups: dict[str, list[tuple[Entry, Cause]]] = {}
        for entry in every:
            if entry.area == title:
                cause = causes.of(entry)
                if cause is None:
                    raise LookupError(f"{CAUSES.name} has no cause of the message: {entry.key}")
                groups.setdefault(cause.key, []).append((entry, cause))
        for group in groups.values():
            yield from _group(group)


def _group(group: list[tuple[Entry, Cause]]) -> Iterator[str]:
    """Yield one section for messages with one cause and the same fixes, else one for each."""
    entry, cause = group[0]
    if len(group) == 1 or any(other.fixes != entry.fixes for other, _ in group):
        for entry, cause in group:
            yield f"\n### {markdown(entry.text)}\n\n"
            yield from (f"- Or: {markdown(other)}\n" for other in entry.others)
            yield from _explained(entry, cause)
        return
    yield f"\n### {_title(cause.key)}\n\n"
    for other, _ in group:
        for text in (other.text, *other.others):
            yield f"- Message: {markdown(text)}\n"
    yield from _explained(entry, cause)


def _explained(entry: Entry, cause: Cause) -> Iterator[str]:
    yield f"- **Cause:** {cause.text}\n"
    for fix in (*map(markdown, entry.fixes), *([cause.fix] if cause.fix else [])):
        yield f"- **Fix:** {fix}\n"


def _title(key: str) -> str:
    parts = re.split(r"<([^<>]*)>", key.replace("...", "…"))
    return markdown(tuple(Hole(part) if i % 2 else part for i, part in enumerate(parts)))
