"""Distributions -> the order in which pip installs them: of equal names of files, the last stays.

pip installs what a distribution needs before it. Otherwise it goes from the last name to the first.
https://pip.pypa.io/en/stable/cli/pip_install/#installation-order
"""

from __future__ import annotations

import email.parser
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from bigflow_backend.image.layered.python.interpreter import Interpreter

_HEADERS = 1 << 20
# In the graph of pip, the Python is a node, too. No distribution has such a name.
_PYTHON = "<python>"


@dataclass(frozen=True)
class Needs:
    """The requirements of a distribution, from its METADATA."""

    distributions: tuple[str, ...]
    """The values of ``Requires-Dist``."""
    python: bool
    """True if it has ``Requires-Python``."""


@dataclass(frozen=True)
class Order:
    """The order in which distributions are installed."""

    names: tuple[str, ...]
    cycles: tuple[frozenset[str], ...]
    """Distributions that need each other: pip may install them in another order."""


def read_needs(metadata: Path) -> Needs:
    """Return the requirements in the first megabyte of a METADATA file."""
    with metadata.open("rb") as file:
        message = email.parser.BytesHeaderParser().parsebytes(file.read(_HEADERS))
    needed = message.get_all("Requires-Dist") or ()
    return Needs(tuple(map(str, needed)), "Requires-Python" in message)


def installation_order(
    needs: Mapping[str, Needs], extras: Mapping[str, frozenset[str]], interpreter: Interpreter
) -> Order:
    """Return the names in the order in which pip installs them.

    If distributions need each other in a cycle, they count as one step: pip's order of them
    depends on what the project requires directly.

    :param needs: of each distribution to install, by its normalised name.
    :param extras: the extras of distributions that are installed.
    """
    left = _graph(needs, extras, interpreter)
    order: list[str] = []
    cycles = []
    while left:
        step = {name for name, children in left.items() if not children & left.keys()}
        if not step:
            step = _lowest_cycle(left)
            cycles.append(frozenset(step & needs.keys()))
        order += sorted(step & needs.keys(), reverse=True)
        left = {name: children for name, children in left.items() if name not in step}
    return Order(tuple(order), tuple(cycles))


def _graph(
    needs: Mapping[str, Needs], extras: Mapping[str, frozenset[str]], interpreter: Interpreter
) -> dict[str, set[str]]:
    """Return the nodes that each node needs. A distribution with its extras is another node."""
    # The distributions of the base image stay. They seldom need more than a Python.
    graph = {name: {_PYTHON} for name in interpreter.installed} | {_PYTHON: set()}
    environment = _environment(interpreter)
    for name, own in needs.items():
        graph[name] = {_PYTHON} if own.python else set()
        graph[_with_extras(name)] = {name}
        for text in own.distributions:
            try:
                required = Requirement(text)
            except InvalidRequirement:
                continue
            child = str(canonicalize_name(required.name))
            if required.extras and child in needs:
                child = _with_extras(child)
            marker = required.marker
            if marker is None or marker.evaluate({**environment, "extra": ""}):
                graph[name].add(child)
            elif any(marker.evaluate({**environment, "extra": e}) for e in extras.get(name, ())):
                graph[_with_extras(name)].add(child)
    return graph


def _lowest_cycle(graph: Mapping[str, set[str]]) -> set[str]:
    """Return nodes that all need each other, and no other nodes."""
    start = min(graph)
    while True:
        reached = _reached(start, graph)
        below = (name for name in sorted(reached) if start not in _reached(name, graph))
        lower = next(below, None)
        if lower is None:
            return {start, *reached}
        start = lower


def _reached(start: str, graph: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    todo = [start]
    while todo:
        new = (graph[todo.pop()] & graph.keys()) - found
        found |= new
        todo += new
    return found


def _with_extras(name: str) -> str:
    return f"{name}[]"


def _environment(interpreter: Interpreter) -> dict[str, str]:
    """https://packaging.python.org/en/latest/specifications/dependency-specifiers/#environment-markers"""
    return {
        "implementation_name": "cpython",
        "implementation_version": interpreter.version,
        "os_name": "posix",
        "platform_machine": interpreter.machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": interpreter.version,
        "python_version": interpreter.minor,
        "sys_platform": "linux",
    }
