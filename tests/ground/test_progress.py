"""The line of a step: its details, and the bytes of its transfers."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground import progress
from bigflow_backend.ground.processes import run
from bigflow_backend.ground.progress import (
    Verbosity,
    end_transfer,
    output_of_child,
    print_progress,
    prints,
    show_transfer,
    size,
    step,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def fold() -> Iterator[progress._Fold]:
    """The step that is running."""
    with prints(Verbosity.QUIET), step("pushing"):
        assert progress._state.fold is not None
        yield progress._state.fold


def test_the_line_has_the_last_line_of_output(fold: progress._Fold) -> None:
    print_progress("one\ntwo\x1b[31m")
    assert str(fold._line(80)).endswith(" s  two")


def test_the_line_has_the_bytes_of_all_transfers(fold: progress._Fold) -> None:
    print_progress("pushing sha256:0a")
    show_transfer("push", "sha256:0a", 1_000_000, 2_000_000)
    show_transfer("push", "sha256:0b", 2_000_000, 3_000_000)
    assert str(fold._line(80)).endswith(" s  3.0 MB of 5.0 MB")
    show_transfer("push", "sha256:0a", 2_000_000, 2_000_000)
    show_transfer("push", "sha256:0b", 3_000_000, 3_000_000)
    assert str(fold._line(80)).endswith(" s  pushing sha256:0a")


def test_the_line_names_the_downloads_of_uv(fold: progress._Fold) -> None:
    show_transfer("pull", "sha256:0a", 5_000_000, 5_000_000)
    show_transfer("uv", "pandas", 0, 12_000_000)
    show_transfer("uv", "numpy", 0, 16_000_000)
    end_transfer("uv", "numpy")
    end_transfer("uv", "six")  # too small: uv does not print its size
    assert str(fold._line(80)).endswith(" s  16.0 MB of 28.0 MB: pandas")


def test_wide_characters_take_two_columns(fold: progress._Fold) -> None:
    print_progress("写" * 100)
    line = fold._line(40)
    assert line.cell_len <= 39
    assert line.plain.endswith("…")


def test_the_line_fits_into_the_terminal(fold: progress._Fold) -> None:
    print_progress("x" * 200)
    assert len(str(fold._line(40))) == 39


def test_the_output_of_a_child_is_kept(fold: progress._Fold) -> None:
    with output_of_child() as messages:
        assert run(["sh", "-c", "echo one; printf two >&2"], stdout=messages) == 0
    assert sorted(fold.lines) == ["one", "two"]


def test_a_descendant_that_lives_on_does_not_hold_the_command(fold: progress._Fold) -> None:
    """It keeps the pipe open: without a limit, the command would wait for its end."""
    with output_of_child() as messages:
        assert messages is not None
        copy = os.dup(messages)
    os.close(copy)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failed_step_prints_its_lines(
    error: type[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        print_progress("the cause")
        raise error

    with pytest.raises(error), prints(Verbosity.QUIET), step("building"):
        fail()
    printed = capsys.readouterr().err
    assert ("the cause" in printed) == (error is ValueError)
    assert progress._state.fold is None


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2.5e9, "2.5 GB")]
)
def test_sizes(count: float, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0.0 s"), (59, "59.0 s"), (61, "1 min 1 s")])
def test_times(seconds: float, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: seconds)
    assert progress.seconds_since(0) == text
