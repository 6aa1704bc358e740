"""Two sides -> the layers, the dependencies and the DAGs that differ."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bigflow_backend.compare.commits import Commit, commits_between
from bigflow_backend.dags.build import schedule_in_words
from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from bigflow_backend.compare.content import ImageFacts, LayerFacts
    from bigflow_backend.compare.side import Reader, Side
    from bigflow_backend.dags.manifest import DagEntry


@dataclass(frozen=True)
class Layers:
    """The layers of two images."""

    shared: tuple[LayerFacts, ...]
    """As NEW describes them."""
    new: tuple[LayerFacts, ...]
    removed: tuple[LayerFacts, ...]


@dataclass(frozen=True)
class Change:
    """A name with its values; None if a side does not have it."""

    name: str
    old: str | None
    new: str | None


@dataclass(frozen=True)
class DagChange:
    """The DAG of a workflow that differs."""

    workflow: str
    old_id: str | None
    new_id: str | None
    changes: tuple[Change, ...]
    """The attributes that differ: ``schedule``, ``timezone``, ``start_date``, ``configuration``."""
    tasks_added: tuple[str, ...]
    tasks_removed: tuple[str, ...]
    lines: tuple[str, ...]
    """The other lines of the file that differ, with ``-`` or ``+``. Names of versions, images,
    commits and DAGs do not count."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The differences of two sides. None means that a side does not know."""

    old: Side
    new: Side
    base: Change | None
    layers: Layers | None
    dependencies: tuple[Change, ...] | None
    dags: tuple[DagChange, ...] | None
    commits: tuple[Commit, ...] | None
    missing: tuple[str, ...]
    """The reasons why something was not compared."""

    @property
    def is_empty(self) -> bool:
        """True if nothing differs of what was compared."""
        layers = self.layers and (self.layers.new or self.layers.removed)
        return not (layers or self.base or self.dependencies or self.dags or self.commits)


def compare(old: Side, new: Side, reader: Reader, *, root: Path) -> Difference:
    """Return the differences of two sides. ``root`` is in the git repository, if there is one."""
    missing: list[str] = []
    layers = base = dependencies = dags = None
    if old.image is not None and new.image is not None:
        layers = _layers(old.image, new.image)
        if old.image.base and new.image.base and old.image.base != new.image.base:
            base = Change("base", old.image.base, new.image.base)
        try:
            dependencies = _dependencies(old.image, new.image, layers, reader)
        except UserError as error:
            missing.append(f"the dependencies: {error.message}")
    if old.dags is not None and new.dags is not None:
        dags = tuple(_dags(old.dags, new.dags))
    else:
        unknown = " and ".join(side.given for side in (old, new) if side.dags is None)
        missing.append(f"the DAGs: no manifest.json has those of {unknown}")
    found = commits_between(root, old.commit, new.commit)
    commits = None if isinstance(found, str) else found
    if isinstance(found, str):
        missing.append(f"the commits: {found}")
    return Difference(
        old=old,
        new=new,
        base=base,
        layers=layers,
        dependencies=dependencies,
        dags=dags,
        commits=commits,
        missing=tuple(dict.fromkeys((*old.missing, *new.missing, *missing))),
    )


def _layers(old: ImageFacts, new: ImageFacts) -> Layers:
    before = {layer.digest for layer in old.layers}
    after = {layer.digest for layer in new.layers}
    return Layers(
        shared=tuple(layer for layer in new.layers if layer.digest in before),
        new=tuple(layer for layer in new.layers if layer.digest not in before),
        removed=tuple(layer for layer in old.layers if layer.digest not in after),
    )


def _dependencies(
    old: ImageFacts, new: ImageFacts, layers: Layers, reader: Reader
) -> tuple[Change, ...]:
    """Compare the lists of two builds, or else the distributions in the layers that differ.

    :raises UserError: if the layers cannot be read.
    """
    if old.dependencies is not None and new.dependencies is not None:
        return _changes(_pairs(old.dependencies), _pairs(new.dependencies))
    shared = {layer.digest for layer in layers.shared}
    before, after = (reader.installed(facts, shared) for facts in (old, new))
    # What only one image removes from the shared layers, the other one still has.
    return _changes(
        before.added | (after.removed - before.removed),
        after.added | (before.removed - after.removed),
    )


def _pairs(lines: Iterable[str]) -> frozenset[tuple[str, str]]:
    from packaging.utils import canonicalize_name

    pairs = (line.partition("==") for line in lines)
    return frozenset(
        (canonicalize_name(name.partition("[")[0].strip()), version.strip())
        for name, _, version in pairs
    )


def _changes(old: Iterable[tuple[str, str]], new: Iterable[tuple[str, str]]) -> tuple[Change, ...]:
    before, after = _by_name(old), _by_name(new)
    names = sorted({*before, *after})
    return tuple(
        Change(name, before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    )


def _by_name(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the version of each name; an image can have several."""
    found: dict[str, list[str]] = {}
    for name, version in sorted(pairs):
        found.setdefault(name, []).append(version)
    return {name: ", ".join(versions) for name, versions in found.items()}


def _dags(old: Mapping[str, DagEntry], new: Mapping[str, DagEntry]) -> Iterator[DagChange]:
    for workflow in sorted({*old, *new}):
        before, after = old.get(workflow), new.get(workflow)
        attributes = [dict(_attributes(dag)) if dag else {} for dag in (before, after)]
        names = dict.fromkeys((*attributes[0], *attributes[1]))
        tasks = [dag.tasks if dag else () for dag in (before, after)]
        change = DagChange(
            workflow,
            None if before is None else before.dag_id,
            None if after is None else after.dag_id,
            tuple(
                Change(name, attributes[0].get(name), attributes[1].get(name))
                for name in names
                if attributes[0].get(name) != attributes[1].get(name)
            ),
            tuple(task for task in tasks[1] if task not in tasks[0]),
            tuple(task for task in tasks[0] if task not in tasks[1]),
            tuple(_lines(before, after)) if before and after else (),
        )
        is_same = change.old_id == change.new_id and not change.changes and not change.lines
        if not is_same:
            yield change


def _attributes(dag: DagEntry) -> Iterator[tuple[str, str]]:
    yield "schedule", schedule_in_words(dag.schedule)
    yield "timezone", dag.timezone
    yield "start_date", dag.start_date
    yield "configuration", str(dag.config.get("default"))


def _lines(old: DagEntry, new: DagEntry) -> Iterator[str]:
    """Yield the lines of the files that differ, without the names that each version changes."""
    found = difflib.unified_diff(_plain(old, new), _plain(new, old), n=0, lineterm="")
    for line in found:
        if not line.startswith(("---", "+++", "@@")):
            yield line


def _plain(dag: DagEntry, other: DagEntry) -> list[str]:
    text = dag.source
    tag = dag.version.replace("+", "-").replace("!", "_")
    names = (
        (dag.image, "<image>"),
        (dag.dag_id if dag.dag_id != other.dag_id else "", "<id>"),
        (dag.commit or "", "<commit>"),
        (dag.version, "<version>"),
        (tag, "<version>"),
        (tag.replace(".", "_").replace("-", "_"), "<version>"),
    )
    for name, placeholder in names:
        text = text.replace(name, placeholder) if name else text
    # The label has a hash of the image's name.
    return [line for line in text.splitlines() if not line.lstrip().startswith("'bigflow-image'")]
