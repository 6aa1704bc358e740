"""How a fault of the user's is told, at every door: two lines, no traceback, exit status 1."""

from __future__ import annotations

import contextlib
import signal
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from bigflow_backend.ground.errors import AlreadyReportedError, BigflowWarning, UserError


def print_error(error: UserError) -> None:
    """Tells what is wrong and what to do, on standard error."""
    print(f"bigflow: error: {error.message}", file=sys.stderr)
    if error.hint:
        print(f"  {error.hint}", file=sys.stderr)


def print_warning(text: str) -> None:
    """Gives advice, on standard error."""
    print(f"bigflow: warning: {text}", file=sys.stderr)


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """A ``UserError`` in the block is told, and ends the process with status 1.

    Our own warnings are told in one line, without the place in our code that gave them.
    """
    plain = warnings.formatwarning

    def formatted(message: Any, category: Any, *place: Any, **more: Any) -> str:
        if issubclass(category, BigflowWarning):
            return f"bigflow: warning: {message}\n"
        return plain(message, category, *place, **more)

    warnings.formatwarning = formatted
    try:
        yield
    except UserError as error:
        print_error(error)
        raise SystemExit(1) from error
    except AlreadyReportedError as error:
        raise SystemExit(1) from error
    except ModuleNotFoundError as error:
        top = (error.name or "").partition(".")[0]
        if top not in _LIBRARIES:
            raise
        needs = f"this command needs {_LIBRARIES[top]}, which {sys.executable} does not have"
        print_error(UserError(needs, hint="pip install 'bigflow-backend[build]'"))
        raise SystemExit(1) from error
    except Warning as warning:  # `python -W error`: the user wants it to be one
        print_error(UserError(_first_sentence(warning), hint="it is a warning without -W error"))
        raise SystemExit(1) from warning
    finally:
        warnings.formatwarning = plain


_LIBRARIES = {
    "build": "build",
    "docker": "docker",
    "jinja2": "jinja2",
    "packaging": "packaging",
    "pyproject_hooks": "build",
    "requests": "requests",
    "setuptools": "setuptools",
    "tomli": "tomli",
    "uv": "uv",
}
"""Module -> distribution of the extra ``build``."""


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """A SIGTERM, as CI cancels with, unwinds the block: children end, nothing is left half-made."""

    def unwind(number: int, _frame: object) -> None:
        print("bigflow: ended by SIGTERM; nothing in the project was changed", file=sys.stderr)
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _first_sentence(warning: Warning) -> str:
    """The first line of a warning that says something: setuptools draws frames around its own."""
    lines = (line.strip(" !*") for line in str(warning).splitlines())
    return next((line for line in lines if line), type(warning).__name__)
