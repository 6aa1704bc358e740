"""Requests whose waits end at a deadline; the drips of registries are in tests/hostile."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest
import requests

from bigflow_backend.ground.foreign.http import Session


def test_a_name_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a mock, this would need another resolv.conf for the machine."""
    asked, ended = threading.Event(), threading.Event()

    def wait(*_arguments: Any, **_options: Any) -> None:
        asked.set()
        ended.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "Try again")

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    session = Session(deadline=time.monotonic() + 0.5)
    try:
        with pytest.raises(requests.RequestException, match="deadline"):
            session.get("http://registry.example.com/v2/")
    finally:
        ended.set()
    assert asked.is_set()


def test_an_unknown_name() -> None:
    session = Session(deadline=time.monotonic() + 60)
    with pytest.raises(requests.ConnectionError, match="resolve"):
        session.get("http://registry.invalid/v2/")
