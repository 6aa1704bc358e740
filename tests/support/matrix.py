"""Matrices of parameters, of which a few rows run quickly."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from _pytest.mark import ParameterSet


def matrix(names: str, *axes: Sequence[object]) -> pytest.MarkDecorator:
    """Parametrize a test with all combinations of the axes.

    Each value is in a quick row. The other rows are slow.

    :param names: the names of the parameters, with commas.
    """
    longest = max(map(len, axes))
    quick = [tuple(axis[i % len(axis)] for axis in axes) for i in range(longest)]
    rows = [
        pytest.param(*row, marks=[] if row in quick else [pytest.mark.slow])
        for row in itertools.product(*axes)
    ]
    return pytest.mark.parametrize(names, rows, ids=lambda value: getattr(value, "name", None))


def rest_slow(rows: Iterable[object], *, quick: Collection[object]) -> list[ParameterSet]:
    """Return the rows for ``parametrize``; those that are not ``quick`` are slow."""
    return [
        pytest.param(
            *(row if isinstance(row, tuple) else (row,)),
            marks=[] if row in quick else [pytest.mark.slow],
        )
        for row in rows
    ]
