"""What all tests share: the fixtures of ``tests/support``, which pytest finds beside this file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

_HERE = Path(__file__).parent
pytest_plugins = [
    "support.airflow",
    "support.caches",
    "support.containers",
    "support.distribution",
    "support.embedded",
    "support.end_to_end",
    "support.engine_project",
    "support.faulty_registry",
    "support.flows",
    "support.kubernetes.fixtures",
    "support.package_index",
    "support.registry",
    "support.podman",  # after what it imports
    "support.skips",
    "support.stalling_engine",
]

# With several processes, what takes longest comes first: at the end none waits for another.
_FIRST = ("e2e", "image", "dags", "package")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        directory = item.path.relative_to(_HERE).parts[0]
        return _FIRST.index(directory) if directory in _FIRST else len(_FIRST)

    items.sort(key=place)
