"""Containers of an engine, where the engine has a defect."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, cast

from bigflow_backend.rehearsal.node import engine
from bigflow_backend.rehearsal.node.engine import EngineContainer

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest
    from docker.models.containers import Container

_LOG = b"first\nsecond\n"


class Stream:
    """The stream of a log that does not end by itself."""

    def __init__(self) -> None:
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        yield b"first\n"
        self._closed.wait()

    def close(self) -> None:
        self._closed.set()


class Ended:
    """A container that has ended, as the client of Podman sees it."""

    def wait(self, **_: Any) -> dict[str, int]:
        return {"StatusCode": 0}

    def logs(self, **options: Any) -> Stream | bytes:
        return Stream() if options else _LOG


def test_a_log_that_is_followed_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Podman 4.3 does so now and then, if the container ends when the client begins to read."""
    monkeypatch.setattr(engine, "_LAST_LINES_SECONDS", 0.0)
    container = EngineContainer(cast("Container", Ended()))
    assert b"".join(container.output()) == _LOG
