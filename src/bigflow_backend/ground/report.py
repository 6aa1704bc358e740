"""Lines on stderr: errors and warnings. Every entry point prints them in the same way."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import warnings
from collections.abc import Iterator
from typing import Any, TextIO

from bigflow_backend.ground.errors import AlreadyReportedError, BigflowWarning, UserError
from bigflow_backend.ground.foreign.text import printable
from bigflow_backend.ground.progress import red, yellow
from bigflow_backend.ground.signals import Interrupted, ignore_signals, outcome

_SIGNALLED = 128
"""Shells add the number of the signal to it for the exit status."""


def print_error(error: UserError) -> None:
    """Print the message and the hint."""
    print(f"{red('bigflow: error:')} {printable(error.message)}", file=sys.stderr)
    if error.hint:
        print(f"  {printable(error.hint)}", file=sys.stderr)


def print_warning(text: str) -> None:
    """Print a line of advice."""
    print(f"{yellow('bigflow: warning:')} {printable(text)}", file=sys.stderr)


def print_debug_messages() -> None:
    """Print to stderr what the libraries of this process log, such as requests and responses."""
    import logging

    logging.basicConfig(level=logging.DEBUG, format="%(asctime)s| %(name)s: %(message)s")


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """Report errors of the user in the block without a traceback, and exit.

    The status is 1 for a ``UserError``, and 128 and the signal's number for a signal and for a
    pipe without a reader. A ``BigflowWarning`` is printed in one line, without its place in our
    code.
    """
    plain = warnings.formatwarning

    def formatted(message: Any, category: Any, *place: Any, **more: Any) -> str:
        if issubclass(category, BigflowWarning):
            return f"{yellow('bigflow: warning:')} {printable(str(message))}\n"
        return plain(message, category, *place, **more)

    warnings.formatwarning = formatted
    try:
        yield
        sys.stdout.flush()
    except (KeyboardInterrupt, Exception) as error:
        ignore_signals()
        status = _report(error)
        if status is None:
            raise
        raise SystemExit(status) from error
    finally:
        warnings.formatwarning = plain


def _report(error: BaseException) -> int | None:
    """Print an error of the user and return the exit status. Return None for a defect of ours."""
    status: int | None = 1
    if isinstance(error, UserError):
        print_error(error)
    elif isinstance(error, Warning):  # `python -W error` makes errors of warnings
        print_error(UserError(_first_sentence(error), hint="it is a warning without -W error"))
    elif isinstance(error, KeyboardInterrupt):
        number = error.number if isinstance(error, Interrupted) else signal.SIGINT
        name = signal.Signals(number).name
        how = "bigflow: interrupted" if number == signal.SIGINT else f"bigflow: ended by {name}"
        print("; ".join(filter(None, (how, outcome()))), file=sys.stderr)
        status = _SIGNALLED + number
    elif isinstance(error, BrokenPipeError):
        status = _SIGNALLED + signal.SIGPIPE if _close_streams_without_reader() else None
    elif isinstance(error, ModuleNotFoundError):
        top = (error.name or "").partition(".")[0]
        if top not in _LIBRARIES:
            return None
        needs = f"this command needs {_LIBRARIES[top]}, which {sys.executable} does not have"
        print_error(UserError(needs, hint="pip install 'bigflow-backend[build]'"))
    elif not isinstance(error, AlreadyReportedError):
        status = None
    return status


_LIBRARIES = {
    "build": "build",
    "docker": "docker",
    "jinja2": "jinja2",
    "packaging": "packaging",
    "pyproject_hooks": "build",
    "requests": "requests",
    "rich": "rich",
    "setuptools": "setuptools",
    "tomli": "tomli",
    "uv": "uv",
}
"""Module -> distribution of the extra ``build``."""


def _close_streams_without_reader() -> bool:
    """Redirect stdout and stderr to nowhere if their reader, such as `head`, has gone.

    Python flushes both at its end, which would fail. Return False if both have a reader.
    """
    closed = [stream for stream in (sys.stdout, sys.stderr) if _has_no_reader(stream)]
    for stream in closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return bool(closed)


def _has_no_reader(stream: TextIO) -> bool:
    poll = select.poll()
    poll.register(stream.fileno(), 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _first_sentence(warning: Warning) -> str:
    """Return the first line with words: setuptools draws frames around its warnings."""
    lines = (line.strip(" !*") for line in str(warning).splitlines())
    return next((line for line in lines if line), type(warning).__name__)
