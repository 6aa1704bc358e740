"""What all tests share: the fixtures of ``tests/support``, which pytest finds beside this file."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

_HERE = Path(__file__).parent

# A shell without job control starts what it puts in the background with SIGINT ignored, and so
# would be all that the tests start; some of them interrupt it.
# https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_12
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = [
    "support.airflow",
    "support.caches",
    "support.containers",
    "support.distribution",
    "support.end_to_end",
    "support.engine_project",
    "support.faulty_registry",
    "support.flows",
    "support.kubernetes.fixtures",
    "support.package_index",
    "support.registry",
    "support.layered",  # after what it imports
    "support.podman",  # after what it imports
    "support.skips",
    "support.stalling_engine",
]

# With several processes, what takes longest comes first: at the end none waits for another.
_FIRST = ("e2e", "image", "dags", "wheel")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        directory = item.path.relative_to(_HERE).parts[0]
        return _FIRST.index(directory) if directory in _FIRST else len(_FIRST)

    items.sort(key=place)
