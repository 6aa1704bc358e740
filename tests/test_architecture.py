"""The runtime stands alone. (pyproject.toml has the layers of the backend, for import-linter.)"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).parents[1] / "src"


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of each import at run time."""
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


def test_importing_the_runtime_does_not_import_the_backend() -> None:
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
