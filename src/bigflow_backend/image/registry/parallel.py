"""Run a few transfers at once, in threads that end with the first error or with Ctrl-C."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")

_AT_ONCE = 4
_NAME = "transfer"
_SECONDS_TO_END = 10.0
_SECONDS_BETWEEN_INTERRUPTS = 0.05


class StoppedError(Exception):
    """Another transfer has failed, or the build is interrupted."""


@dataclass(frozen=True)
class _Call:
    """A call for the thread of :func:`at_once`."""

    function: Callable[..., object]
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class _Result(Generic[_R]):
    position: int
    value: _R


@dataclass(frozen=True)
class _Group:
    """The threads of one :func:`at_once`."""

    events: queue.SimpleQueue[_Call | _Result[Any] | BaseException] = field(
        default_factory=queue.SimpleQueue
    )
    stopped: threading.Event = field(default_factory=threading.Event)


_group: ContextVar[_Group | None] = ContextVar("_group", default=None)


def at_once(
    work: Callable[[_T], _R], items: Iterable[_T], *, interrupt: Callable[[], None]
) -> list[_R]:
    """Call ``work`` for each item, up to 4 at once; return the results in the order of the items.

    The first error of one call ends the others, and is raised. ``interrupt`` ends the requests that
    other threads wait for; it is called until they have ended.
    """
    todo = list(enumerate(items))
    if len(todo) < 2:  # noqa: PLR2004
        return [work(item) for _position, item in todo]
    group = _Group()
    waiting: queue.SimpleQueue[tuple[int, _T]] = queue.SimpleQueue()
    for one in todo:
        waiting.put(one)
    threads = [
        threading.Thread(target=_run, args=(group, work, waiting), name=_NAME, daemon=True)
        for _ in range(min(_AT_ONCE, len(todo)))
    ]
    results: dict[int, _R] = {}
    try:
        for thread in threads:
            thread.start()
        while len(results) < len(todo):
            _handle(group.events.get(), results)
    except BaseException:
        group.stopped.set()
        _end(threads, interrupt)
        raise
    return [results[position] for position in range(len(todo))]


def in_caller(function: Callable[..., object], *arguments: Any) -> None:
    """Call a function that prints. In a thread of :func:`at_once`, its caller's thread does it."""
    group = _group.get()
    if group is None:
        function(*arguments)
    else:
        group.events.put(_Call(function, arguments))


def check_running() -> None:
    """
    :raises StoppedError: in a thread of :func:`at_once` that has to end.
    """
    group = _group.get()
    if group is not None and group.stopped.is_set():
        raise StoppedError


def pause(seconds: float) -> None:
    """Wait. In a thread of :func:`at_once`, the wait ends when the thread has to end."""
    group = _group.get()
    if group is None:
        time.sleep(seconds)
    else:
        group.stopped.wait(seconds)


def _handle(event: _Call | _Result[_R] | BaseException, results: dict[int, _R]) -> None:
    if isinstance(event, BaseException):
        raise event
    if isinstance(event, _Call):
        event.function(*event.arguments)
    else:
        results[event.position] = event.value


def _run(
    group: _Group, work: Callable[[_T], object], waiting: queue.SimpleQueue[tuple[int, _T]]
) -> None:
    _group.set(group)
    try:
        while not group.stopped.is_set():
            position, item = waiting.get_nowait()
            group.events.put(_Result(position, work(item)))
    except queue.Empty:
        pass
    except BaseException as error:  # noqa: BLE001  (it is raised in the other thread)
        group.events.put(error)


def _end(threads: list[threading.Thread], interrupt: Callable[[], None]) -> None:
    """Wait until the threads have ended, but not for a name server or a credential helper."""
    end = time.monotonic() + _SECONDS_TO_END
    while any(thread.is_alive() for thread in threads) and time.monotonic() < end:
        interrupt()
        for thread in threads:
            if thread.ident is not None:
                thread.join(_SECONDS_BETWEEN_INTERRUPTS)
