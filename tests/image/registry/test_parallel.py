"""Transfers that run at once: their results, errors, lines and ends."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.base.read import fetch_layers, read_base
from bigflow_backend.image.registry import Access, Registries, push_image
from bigflow_backend.image.registry.parallel import (
    StoppedError,
    at_once,
    check_running,
    in_caller,
    pause,
)
from support.faulty_registry import Failure
from support.images import make_image

if TYPE_CHECKING:
    from bigflow_backend.image.store.blobs import BlobStore
    from support.faulty_registry import FaultyRegistry
    from support.registry import Registry

_SECONDS = 60


def test_up_to_four_at_once_in_the_order_of_the_items() -> None:
    barrier = threading.Barrier(4)
    lock = threading.Lock()
    running: list[int] = []
    most = 0

    def work(item: int) -> int:
        nonlocal most
        with lock:
            running.append(item)
            most = max(most, len(running))
        barrier.wait(_SECONDS)
        with lock:
            running.remove(item)
        return item * item

    assert at_once(work, range(8), interrupt=lambda: None) == [n * n for n in range(8)]
    assert most == 4


def test_the_first_error_ends_the_others() -> None:
    waiting = threading.Barrier(3)
    ended: list[int] = []

    def work(item: int) -> None:
        waiting.wait(_SECONDS)
        if item == 0:
            raise UserError("refused", hint="ask")
        try:
            while True:
                check_running()
                pause(_SECONDS)
        except StoppedError:
            ended.append(item)
            raise

    with pytest.raises(UserError, match="refused"):
        at_once(work, range(3), interrupt=lambda: None)
    assert sorted(ended) == [1, 2]
    assert not _transfers()


def test_lines_are_printed_by_the_thread_of_the_caller() -> None:
    threads: set[threading.Thread] = set()
    at_once(
        lambda _item: in_caller(lambda: threads.add(threading.current_thread())),
        range(4),
        interrupt=lambda: None,
    )
    assert threads == {threading.current_thread()}


def test_an_error_of_a_blob_ends_the_wait_for_another(
    registry: Registry, faulty_registry: FaultyRegistry, store: BlobStore, empty_store: BlobStore
) -> None:
    image = make_image(store, os.urandom(9), os.urandom(9))
    silent, refused = (x["digest"] for x in json.loads(store.read(image.digest))["layers"])
    with Registries() as registries:
        push_image(image, f"{registry.address}/team/ends:1", store=store, registries=registries)
    faulty_registry.failures += [
        Failure("GET", silent, is_silent=True),
        Failure("GET", refused, status=500, times=9),
    ]

    def wait(_seconds: float) -> None:
        assert faulty_registry.fell_silent.wait(_SECONDS)

    with Registries(Access(pause=wait, idle_timeout=10 * _SECONDS)) as registries:
        name = f"{faulty_registry.address}/team/ends:1"
        base = read_base(
            name, architecture="amd64", root=store.root, store=empty_store, registries=registries
        )
        with pytest.raises(UserError, match=f"500 .* {refused}"):
            fetch_layers(base, store=empty_store, registries=registries)
    assert not _transfers()
    assert list((empty_store.root / "partial").iterdir()) == []


def test_the_bytes_of_each_blob_are_reported(
    registry: Registry, store: BlobStore, empty_store: BlobStore
) -> None:
    image = make_image(store, os.urandom(3 << 20), b"small")
    name = f"{registry.address}/team/reported:1"
    reports: list[tuple[str, str, int, int]] = []
    with Registries(Access(progress=lambda *report: reports.append(report))) as registries:
        push_image(image, name, store=store, registries=registries)
        base = read_base(
            name, architecture="amd64", root=store.root, store=empty_store, registries=registries
        )
        fetch_layers(base, store=empty_store, registries=registries)
    for kind in ("push", "pull"):
        for layer in base.layers:
            blob = layer.descriptor
            done = [report[2] for report in reports if report[:2] == (kind, blob.digest)]
            assert done == sorted(done)
            assert done[-1] == blob.size
            assert len(done) > blob.size >> 20


def _transfers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "transfer"]
