"""The floors of docs/architecture.md: a module imports from its own floor and those below."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).parents[1] / "src"
FLOORS = (
    {"errors", "reporting"},
    {"epoch", "settings", "staging", "version"},
    {
        "settings_schema",
        "bigflow_project",
        "describe",
        "description",
        "project",
        "setup_script",
        "setup_source",
        "setuptools_tables",
    },
    {"dags", "image", "package"},
    {"build", "frontend", "outputs", "project_tests", "unittest_child"},
    {"", "console"},
)
SIDE_BY_SIDE = {"dags", "image", "package"}


def modules() -> list[Path]:
    return sorted((SOURCE / "bigflow_backend").rglob("*.py"))


def part(path: Path) -> str:
    """The module or package directly below ``bigflow_backend``; empty for its ``__init__``."""
    first = path.relative_to(SOURCE / "bigflow_backend").parts[0]
    return first.removesuffix(".py").replace("__init__", "")


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """What a module imports at run time, with the line."""
    tree = ast.parse(path.read_text("utf-8"))
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test).endswith("TYPE_CHECKING")
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from ((node.lineno, name) for name in names)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_no_module_imports_from_a_floor_above(path: Path) -> None:
    floor_of = {name: number for number, floor in enumerate(FLOORS) for name in floor}
    own = part(path)
    assert own in floor_of, f"{own} is on no floor: draw it in docs/architecture.md and here"
    for line, name in imported(path):
        package, _, rest = name.partition(".")
        if package != "bigflow_backend":
            continue
        other = rest.partition(".")[0]
        if other not in floor_of:  # a name of the package itself, such as setup
            other = ""
        if own == "bigflow_project" and other == "":
            continue  # the Delegate calls setup() when the user's script calls setuptools.setup
        assert floor_of[other] <= floor_of[own], f"line {line}: {name} is a floor above {own}"
        if own in SIDE_BY_SIDE and other in SIDE_BY_SIDE:
            assert own == other, f"line {line}: {own} and {other} stand side by side"


def test_the_runtime_knows_nothing_of_the_backend_when_imported() -> None:
    script = (
        "import sys, bigflow, bigflow.cli\n"
        "for name in bigflow.__all__: getattr(bigflow, name)\n"
        "print([m for m in sys.modules if m.startswith('bigflow_backend')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_runtime_needs_the_standard_library_alone() -> None:
    for path in sorted((SOURCE / "bigflow").rglob("*.py")):
        for line, name in imported(path):
            top = name.partition(".")[0]
            allowed = top in sys.stdlib_module_names or top in {"bigflow", "bigflow_backend"}
            assert allowed, f"{path.name}, line {line}: {name}"
