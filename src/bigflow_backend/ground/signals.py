"""Ctrl-C, SIGTERM and SIGHUP: they unwind a command, and wait while a part of it must not stop."""

from __future__ import annotations

import atexit
import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal that ends the command."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class _State:
    """The signals of this process.

    Python runs their handlers in the main thread, so other threads neither hold nor get them.
    """

    def __init__(self) -> None:
        self.is_held = False
        self.pending: int | None = None
        self.outcome = ""

    def deliver(self) -> None:
        number, self.pending = self.pending, None
        if number is not None:
            raise Interrupted(number)


_state = _State()


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Raise :class:`Interrupted` in the block for each signal that ends a command.

    So children end, and the staging directory is removed. An ignored signal stays ignored: a
    shell ignores SIGINT for background jobs, and `nohup` ignores SIGHUP.
    """
    _state.outcome = ""
    _state.is_held = False
    _state.pending = None
    before = {number: signal.getsignal(number) for number in _STOPPING}
    replaced = {n: handler for n, handler in before.items() if handler is not signal.SIG_IGN}
    for number in replaced:
        signal.signal(number, _receive)
    try:
        yield
    finally:
        _state.is_held = False
        for number, handler in replaced.items():
            signal.signal(number, handler)
        # Ctrl-C while Python exits would print a traceback of Python.
        if signal.SIGINT in replaced:
            atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


def _receive(number: int, _frame: FrameType | None) -> None:
    _state.pending = number
    if not _state.is_held:
        _state.deliver()


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Hold signals while the block runs; deliver them at its end. The block must be short."""
    if not _is_main_thread():
        yield
        return
    before, _state.is_held = _state.is_held, True
    try:
        yield
    finally:
        _state.is_held = before
    if not _state.is_held:
        _state.deliver()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Deliver signals in the block, which is inside a block of :func:`held`."""
    if not _is_main_thread():
        yield
        return
    before, _state.is_held = _state.is_held, False
    try:
        _state.deliver()
        yield
    finally:
        _state.is_held = before


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def ignore_signals() -> None:
    """Ignore signals from now on, because the command already ends."""
    _state.is_held = True


def set_outcome(text: str) -> None:
    """Set what is true of the running command; an interrupted command prints it."""
    _state.outcome = text


def outcome() -> str:
    """Return the text of :func:`set_outcome`; at first it is empty."""
    return _state.outcome
