"""Progress of a command on stderr: its steps, their times, and the lines of what it runs.

On a terminal, a line at the bottom shows the running step, its seconds and its last line of output.
Elsewhere every line is printed, and the time of each step at its end. No other module knows of
terminals.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, TextIO

from bigflow_backend.ground.foreign.text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_KEPT_LINES = 500
_PIECE = 1 << 16
_REFRESHES_PER_SECOND = 8
_THOUSAND = 1000


class Verbosity(Enum):
    """The lines that a command prints beside its result, its errors and its warnings."""

    QUIET = "quiet"
    """Nothing; the output of a step that fails."""
    NORMAL = "normal"
    VERBOSE = "verbose"
    """Every line, also those of other programs, and the programs themselves."""


class _State:
    def __init__(self) -> None:
        self.verbosity = Verbosity.NORMAL
        self.fold: _Fold | None = None


_state = _State()


@contextlib.contextmanager
def prints(verbosity: Verbosity) -> Iterator[None]:
    """Set how much the block prints."""
    before, _state.verbosity = _state.verbosity, verbosity
    try:
        yield
    finally:
        _state.verbosity = before


def print_command(command: Sequence[str]) -> None:
    """Print a command that will run, if everything is printed. The secrets of its URLs are not."""
    if _state.verbosity is Verbosity.VERBOSE:
        import shlex

        from bigflow_backend.ground.foreign.urls import redacted

        print_progress(f"+ {redacted(shlex.join(command))}")


def print_progress(line: str) -> None:
    """Print progress, one line or more. stdout is only for results.

    In a step on a terminal, the line stands in the line of the step until the next one.
    """
    if _state.fold is not None:
        _state.fold.add(line)
    elif _state.verbosity is not Verbosity.QUIET:
        for part in line.splitlines():
            print(printable(part), file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(
    title: str, say: Callable[[str], None] = print_progress, *, keeps_lines: bool = False
) -> Iterator[None]:
    """Report that the block runs, and how long it took.

    ``say`` receives the title if it is not :func:`print_progress`. With ``keeps_lines``, the lines
    of the block stay on a terminal.
    """
    quiet = _state.verbosity is Verbosity.QUIET
    verbose = _state.verbosity is Verbosity.VERBOSE
    if say is not print_progress:
        say(title)
        yield
    elif quiet or is_terminal():
        with _folded(
            title, is_shown=not quiet, prints_lines=verbose or (keeps_lines and not quiet)
        ):
            yield
    else:
        begin = time.monotonic()
        print_progress(title)
        yield
        print_progress(f"{title}: {seconds_since(begin)}")


@contextlib.contextmanager
def waiting(title: str) -> Iterator[None]:
    """Show on a terminal that the block runs. It leaves no line, and elsewhere it prints nothing.

    It is for a command whose result follows at once.
    """
    if _state.verbosity is not Verbosity.QUIET and is_terminal():
        verbose = _state.verbosity is Verbosity.VERBOSE
        with _folded(title, is_shown=True, is_kept=False, prints_lines=verbose):
            yield
    else:
        yield


@contextlib.contextmanager
def _folded(
    title: str, *, is_shown: bool, is_kept: bool = True, prints_lines: bool = False
) -> Iterator[None]:
    """Fold the lines of the block into one, or none. If it raises, all of them are printed.

    With ``prints_lines``, each is printed as it comes, above the line of the step.
    """
    begin = time.monotonic()
    fold = _state.fold = _Fold(title, begin, prints_lines=prints_lines)
    try:
        with fold.display() if is_shown else contextlib.nullcontext():
            yield
    except Exception:
        mark = coloured("✗" if has_utf8(sys.stderr) else "!", _RED)
        lines = [f"{mark} {title}  {seconds_since(begin)}", *fold.lines]
        print(*lines, sep="\n", file=sys.stderr, flush=True)
        raise
    finally:
        _state.fold = None
    if is_shown and is_kept:
        mark = coloured("✓" if has_utf8(sys.stderr) else "+", _GREEN)
        seconds = coloured(seconds_since(begin), _DIM)
        print(f"{mark} {title}  {seconds}", file=sys.stderr, flush=True)


class _Fold:
    """The lines of a step that are not printed as they come."""

    def __init__(self, title: str, begin: float, *, prints_lines: bool = False) -> None:
        self.lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._console: Console | None = None
        """The terminal, while it shows the step."""
        self.transfers: dict[tuple[str, str], tuple[int, int]] = {}
        self.unfinished = ""
        """The beginning of a line, such as the dots of pytest."""
        self._title = title
        self._begin = begin
        self._prints_lines = prints_lines
        self._frames = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏" if has_utf8(sys.stderr) else "|/-\\"

    def add(self, text: str) -> None:
        lines = [printable(line) for line in text.splitlines() if line.strip()]
        if self._prints_lines:
            self._print(lines)
        else:
            self.lines.extend(lines)

    def output(self, line: str) -> None:
        """Take a line that a program of the project has printed: it stays on the terminal."""
        if self._console is not None and not self._prints_lines:
            self._print([printable(line)])
        else:
            self.add(line)

    def _print(self, lines: Iterable[str]) -> None:
        """Print lines above the line of the step. The terminal wraps long ones."""
        for line in lines:
            if self._console is None:
                print(line, file=sys.stderr, flush=True)
            else:
                self._console.print(
                    line, markup=False, emoji=False, highlight=False, soft_wrap=True
                )

    @contextlib.contextmanager
    def display(self) -> Iterator[None]:
        """Show the step in the last line of the terminal."""
        try:
            from rich.console import Console
            from rich.live import Live
        except ImportError:  # the runtime alone has no libraries
            print(self._title, file=sys.stderr, flush=True)
            yield
            return
        console = Console(stderr=True, force_terminal=True, force_interactive=True)
        live = Live(
            get_renderable=lambda: self._line(console.width),
            console=console,
            transient=True,
            refresh_per_second=_REFRESHES_PER_SECOND,
            redirect_stdout=False,
        )
        with live:
            self._console = console
            yield

    def _line(self, width: int) -> Text:
        from rich.text import Text

        frame = self._frames[int(time.monotonic() * _REFRESHES_PER_SECOND) % len(self._frames)]
        line = Text(f"{frame} {self._title}  {seconds_since(self._begin)}", no_wrap=True)
        detail = self._bytes() or self.unfinished or (self.lines[-1] if self.lines else "")
        line.append(f"  {detail}" if detail else "", style="dim" if _has_colours() else "")
        line.truncate(max(1, width - 1), overflow="ellipsis")
        return line

    def _bytes(self) -> str:
        """Return the bytes of the transfers; empty if none is running."""
        running = [key for key, (done, total) in self.transfers.items() if done < total]
        if not running:
            return ""
        kinds = {kind for kind, _ in running}
        numbers = [n for (kind, _), n in self.transfers.items() if kind in kinds]
        done, total = (sum(column) for column in zip(*numbers, strict=True))
        names = [name for kind, name in running if kind == "uv"]
        return f"{size(done)} of {size(total)}{': ' if names else ''}{', '.join(names)}"


def show_transfer(kind: str, name: str, done: int, total: int) -> None:
    """Show how many bytes of a file have arrived.

    ``kind`` is ``pull`` or ``push`` for a blob with the digest ``name``, and ``uv`` for a package.
    """
    if _state.fold is not None:
        _state.fold.transfers[kind, name] = (done, total)


def end_transfer(kind: str, name: str) -> None:
    """Show that a file has arrived, if :func:`show_transfer` has shown it before."""
    if _state.fold is not None and (kind, name) in _state.fold.transfers:
        _, total = _state.fold.transfers[kind, name]
        show_transfer(kind, name, total, total)


@contextlib.contextmanager
def output_of_child() -> Iterator[int | None]:
    """Yield the file descriptor for the messages of a child process.

    None means that the child shares the stderr of this process. Otherwise its lines are printed
    above the line of the step.
    """
    fold = _state.fold
    if fold is None:
        yield None
        return
    import threading

    reader, writer = os.pipe()
    wake, stop = os.pipe()
    thread = threading.Thread(target=_forward, args=(fold, reader, wake), daemon=True)
    thread.start()
    try:
        yield writer
    finally:
        # A descendant that lives on may keep the pipe open, so its end does not count.
        os.close(writer)
        os.close(stop)
        thread.join()
        os.close(reader)
        os.close(wake)


def _forward(fold: _Fold, reader: int, wake: int) -> None:
    """Print the lines of a pipe, until ``wake`` is closed and the pipe is empty."""
    import select

    rest = b""
    while True:
        ready, _, _ = select.select([reader, wake], [], [])
        piece = os.read(reader, _PIECE) if reader in ready else b""
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            fold.output(line.decode("utf-8", "replace"))
        fold.unfinished = printable(rest.decode("utf-8", "replace"))
        if not piece and (wake in ready or reader in ready):
            break
    fold.unfinished = ""
    if rest:
        fold.output(rest.decode("utf-8", "replace"))


def is_terminal(stream: TextIO | None = None) -> bool:
    """Return whether the stream, or else stderr, is a terminal that can rewrite a line."""
    return (stream or sys.stderr).isatty() and os.environ.get("TERM", "dumb") != "dumb"


_RED, _YELLOW, _GREEN, _DIM = "1;31", "1;33", "32", "2"


def red(text: str) -> str:
    """Return the text in red where stderr shows colours."""
    return coloured(text, _RED)


def yellow(text: str) -> str:
    """Return the text in yellow where stderr shows colours."""
    return coloured(text, _YELLOW)


def coloured(text: str, code: str, stream: TextIO | None = None) -> str:
    """Return the text with a colour of ECMA-48, where the stream, or else stderr, shows colours.

    https://no-color.org and https://force-color.org
    """
    return f"\x1b[{code}m{text}\x1b[0m" if _has_colours(stream) else text


def _has_colours(stream: TextIO | None = None) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or is_terminal(stream)


def size(count: float) -> str:
    """Return a number of bytes in decimal units, such as ``47.8 kB``."""
    for unit in ("B", "kB", "MB"):
        if count < _THOUSAND:
            return f"{count:.1f} {unit}" if unit != "B" else f"{count:.0f} B"
        count /= _THOUSAND
    return f"{count:.1f} GB"


def seconds_since(begin: float) -> str:
    """Return the time since ``begin``, of :func:`time.monotonic`, such as ``3.4 s``."""
    seconds = time.monotonic() - begin
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:.0f} min {rest:.0f} s" if minutes else f"{seconds:.1f} s"


def has_utf8(stream: TextIO) -> bool:
    """Return whether a stream can have all characters."""
    encoding: Any = stream.encoding
    return str(encoding or "").lower().replace("-", "") == "utf8"
