"""Check of imports: a module beside the packages is in the source tree, and not in the wheel.

Tests and the description of workflows run in the tree. Only the pod would fail.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project
    from bigflow_backend.wheel.content import Member


def check_imports(project: Project, modules: Iterable[Member]) -> None:
    """Check the imports of the modules.

    Imports inside ``try`` and ``if TYPE_CHECKING`` are not checked.

    :raises UserError: for the first import of a package or module beside the packages.
    """
    beside = _beside(project)
    if not beside:
        return
    for module in modules:
        if not module.name.endswith(".py"):
            continue
        source = module.read()
        if not any(name.encode() in source for name in beside):
            continue
        for line, name in _imported(ast.parse(source)):
            if name in beside:
                raise _not_packaged(project, module, line, name, is_package=beside[name].is_dir())


def _beside(project: Project) -> dict[str, Path]:
    """Return the modules in the source directory that are not in the wheel, by name."""
    found = {}
    for path in sorted(project.source.iterdir()):
        is_package = (path / "__init__.py").is_file()
        if (is_package or path.suffix == ".py") and path.stem not in project.packages:
            found[path.stem] = path
    return found


def _imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the lines and the top-level names of imports that always run."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.lineno, node.module.partition(".")[0]
        elif not (_expects_failure(node) or _for_type_checkers(node)):
            yield from _imported(node)


def _expects_failure(node: ast.AST) -> bool:
    return isinstance(node, ast.Try)


def _for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def _not_packaged(
    project: Project, module: Member, line: int, name: str, *, is_package: bool
) -> UserError:
    hint = f"move it into {project.package}/"
    if is_package:
        both = ", ".join(f'"{p}"' for p in (*project.packages, name))
        hint += f", or write packages = [{both}] into [tool.bigflow]"
    return UserError(
        f"{module.name}, line {line} imports {name}, which is beside {project.package}/ and not in "
        "the wheel",
        hint=hint,
    )
