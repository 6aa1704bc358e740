"""Ctrl-C and kill -9 in the middle of a pull and of a push: all is as before, or whole."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.base.read import fetch_layers, read_base
from bigflow_backend.image.registry import Registries, push_image
from bigflow_backend.image.store.blobs import open_store
from support.faulty_registry import Failure
from support.images import make_image

if TYPE_CHECKING:
    from pathlib import Path

    from bigflow_backend.image.oci import BaseImage
    from bigflow_backend.image.store.blobs import BlobStore
    from support.faulty_registry import FaultyRegistry
    from support.registry import Registry

_PULL = """
import sys
from pathlib import Path
from bigflow_backend.image.base.read import fetch_layers, read_base
from bigflow_backend.image.registry import Registries
from bigflow_backend.image.store.blobs import open_store

root = Path(sys.argv[1])
with open_store(root) as store, Registries() as registries:
    base = read_base(
        sys.argv[2], architecture="amd64", root=root, store=store, registries=registries
    )
    fetch_layers(base, store=store, registries=registries)
"""
_PUSH = """
import sys
from pathlib import Path
from bigflow_backend.image.oci import MANIFEST, Descriptor
from bigflow_backend.image.registry import Registries, push_image
from bigflow_backend.image.store.blobs import open_store

with open_store(Path(sys.argv[1])) as store, Registries() as registries:
    manifest = Descriptor(MANIFEST, sys.argv[3], int(sys.argv[4]))
    push_image(manifest, sys.argv[2], store=store, registries=registries)
"""
_SIGNALS = pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL])


@_SIGNALS
@pytest.mark.parametrize("path", ["/manifests/", "/blobs/"])
def test_a_pull(
    signal_number: signal.Signals,
    path: str,
    registry: Registry,
    faulty_registry: FaultyRegistry,
    tmp_path: Path,
) -> None:
    with open_store(tmp_path / "made") as store, Registries() as registries:
        image = make_image(store, os.urandom(1 << 20))
        pushed = f"{registry.address}/team/interrupted:1"
        push_image(image, pushed, store=store, registries=registries)
    if path == "/blobs/":
        # After the configuration comes the layer; a half of it is there already.
        faulty_registry.failures += [
            Failure("GET", path, after=1, drop_after=1 << 19),
            Failure("GET", path, after=1, is_silent=True),
        ]
    else:
        faulty_registry.failures.append(Failure("GET", path, is_silent=True))
    name = f"{faulty_registry.address}/team/interrupted:1"
    cache = tmp_path / "cache"
    _interrupted(_PULL, faulty_registry, signal_number, str(cache), name)
    if path == "/blobs/":
        assert faulty_registry.requests[-1].headers["Range"] == f"bytes={1 << 19}-"
    if signal_number == signal.SIGINT:
        assert list((cache / "partial").iterdir()) == []
    with open_store(cache) as store, Registries() as registries:
        for blob in (cache / "sha256").iterdir():
            store.read(f"sha256:{blob.name}")  # whole
        base = _read(name, store, registries)
        fetch_layers(base, store=store, registries=registries)
        assert base.digest == image.digest
    assert list((cache / "partial").iterdir()) == []
    assert list((cache / "sessions").iterdir()) == []


@_SIGNALS
def test_a_pull_of_several_layers(
    signal_number: signal.Signals,
    registry: Registry,
    faulty_registry: FaultyRegistry,
    tmp_path: Path,
) -> None:
    with open_store(tmp_path / "made") as store, Registries() as registries:
        image = make_image(store, *(os.urandom(1 << 10) for _ in range(3)))
        pushed = f"{registry.address}/team/interrupted-layers:1"
        push_image(image, pushed, store=store, registries=registries)
    # After the configuration come the layers.
    faulty_registry.failures.append(Failure("GET", "/blobs/", after=1, is_silent=True, times=3))
    name = f"{faulty_registry.address}/team/interrupted-layers:1"
    cache = tmp_path / "cache"
    _interrupted(_PULL, faulty_registry, signal_number, str(cache), name)
    if signal_number == signal.SIGINT:
        assert list((cache / "partial").iterdir()) == []
    with open_store(cache) as store, Registries() as registries:
        fetch_layers(_read(pushed, store, registries), store=store, registries=registries)
    assert list((cache / "partial").iterdir()) == []


@_SIGNALS
@pytest.mark.parametrize(
    ("method", "path"), [("PATCH", "/uploads/"), ("PUT", "/uploads/"), ("PUT", "/manifests/")]
)
def test_a_push(
    signal_number: signal.Signals,
    method: str,
    path: str,
    faulty_registry: FaultyRegistry,
    tmp_path: Path,
) -> None:
    cache = tmp_path / "cache"
    with open_store(cache) as store:
        image = make_image(store, os.urandom(2 << 20))
    faulty_registry.failures.append(Failure(method, path, is_silent=True))
    tag = f"{signal_number.name}-{method}-{path.strip('/')}".lower()
    name = f"{faulty_registry.address}/team/push-interrupted:{tag}"
    _interrupted(
        _PUSH, faulty_registry, signal_number, str(cache), name, image.digest, str(image.size)
    )
    with open_store(cache) as store, Registries() as registries:
        with pytest.raises(UserError, match="has no image"):
            _read(name, store, registries)
        push_image(image, name, store=store, registries=registries)
        assert _read(name, store, registries).digest == image.digest


def test_two_pulls_at_once(registry: Registry, tmp_path: Path) -> None:
    with open_store(tmp_path / "made") as store, Registries() as registries:
        image = make_image(store, *(os.urandom(1 << 20) for _ in range(3)))
        name = f"{registry.address}/team/at-once:1"
        push_image(image, name, store=store, registries=registries)
    cache = tmp_path / "cache"
    pulls = [_started(_PULL, str(cache), name) for _ in range(3)]
    assert [(pull.communicate()[1], pull.returncode) for pull in pulls] == [(b"", 0)] * 3
    with open_store(cache) as store, Registries() as registries:
        assert all(
            store.has(layer.descriptor.digest, layer.descriptor.size)
            for layer in _read(name, store, registries).layers
        )


def _interrupted(
    script: str, faulty: FaultyRegistry, signal_number: signal.Signals, *arguments: str
) -> None:
    with _started(script, *arguments) as process:
        try:
            assert faulty.fell_silent.wait(60), process.communicate(timeout=1)
            # Python acts on a signal that comes just before a system call only after that call.
            for _ in range(6):
                process.send_signal(signal_number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                    break
            else:
                pytest.fail("The signal did not stop the process.")
        finally:
            process.kill()
    assert process.returncode in {-signal_number, 1}


def _started(script: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", script, *arguments], stderr=subprocess.PIPE)


def _read(name: str, store: BlobStore, registries: Registries) -> BaseImage:
    return read_base(
        name, architecture="amd64", root=store.root, store=store, registries=registries
    )
