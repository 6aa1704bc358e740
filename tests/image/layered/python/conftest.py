"""The Python of a base with Debian's files, which runs in a sandbox."""

from __future__ import annotations

import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.image.base.read import read_base
from bigflow_backend.image.layered.base_layer import base_system
from bigflow_backend.image.layered.python.base_python import BasePython
from bigflow_backend.image.registry import Registries
from bigflow_backend.image.store.blobs import open_store
from bigflow_backend.image.store.compressors import fast_gzip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bigflow_backend.image.layered.base_layer import BaseSystem
    from bigflow_backend.image.layered.python.interpreter import Interpreter
    from bigflow_backend.image.store.blobs import BlobStore


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlobStore]:
    with open_store(tmp_path_factory.mktemp("store")) as opened:
        yield opened


@pytest.fixture(scope="session")
def _system(base_archive: str, bubblewrap: str, store: BlobStore) -> BaseSystem:
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    with Registries() as registries:
        base = read_base(
            base_archive,
            architecture=architecture,
            root=Path.cwd(),
            store=store,
            registries=registries,
        )
        return base_system(
            store,
            base,
            fetch_layers=lambda: None,
            check=lambda _found: None,
            deadline=time.monotonic() + 600,
            compression=fast_gzip(),
        )


@pytest.fixture(scope="session")
def base_python(_system: BaseSystem) -> BasePython:
    assert isinstance(_system.compiler, BasePython)
    return _system.compiler


@pytest.fixture(scope="session")
def base_interpreter(_system: BaseSystem) -> Interpreter:
    return _system.interpreter
