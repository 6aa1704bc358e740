"""Checks of a single value, for the two kinds that stand everywhere: text and whole numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bigflow_backend.dags.rules.location import Place


_TAG_LENGTH = 100


def check_text(
    field: str, value: Any, place: Place, *, longest: int | None = None, lines: bool = True
) -> None:
    """Refuses what is not text that a database and a terminal can hold.

    With ``lines=False`` it must be one line that is not blank.
    """
    if not isinstance(value, str):
        raise place.fault(field, value, "not text", "write a string")
    # PostgreSQL, which keeps Airflow's DAGs, stores neither.
    if "\0" in value or not _is_unicode(value):
        raise place.fault(
            field, value, "with a character that no database stores", "take that character out"
        )
    if longest is not None and len(value) > longest:
        raise place.fault(
            field, value, f"{len(value)} characters long", f"Airflow takes at most {longest}"
        )
    if not lines:
        _check_line(field, value, place)


def _check_line(field: str, value: str, place: Place) -> None:
    unprintable = [character for character in value if not character.isprintable()]
    if not value:
        why, hint = "it is empty", "write something, or leave it out"
    elif unprintable:
        why = f"it has the character U+{ord(unprintable[0]):04X}"
        hint = "take that character out; a line has printable ones only"
    elif value != value.strip():
        why, hint = "it has a blank at an end", "take the blanks at its ends away"
    else:
        return
    raise place.fault(field, value, f"not a line of text: {why}", hint)


def check_whole(field: str, value: Any, place: Place, *, least: int, most: int) -> None:
    """Refuses what is not a whole number in a range."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise place.fault(
            field, value, "not a whole number in its range", f"write {least} to {most}"
        )


def check_tags(tags: Iterable[Any], place: Place) -> None:
    """Refuses tags that Airflow does not keep."""
    for tag in tags:
        check_text("tags", tag, place, longest=_TAG_LENGTH, lines=False)


def check_plain_data(field: str, value: Any, place: Place) -> None:
    """Refuses what JSON does not know, and text that :func:`check_text` refuses."""
    if isinstance(value, str):
        check_text(field, value, place)
    elif isinstance(value, dict):
        for key, part in value.items():
            check_text(field, key, place)
            check_plain_data(f"{field}[{key!r}]", part, place)
    elif isinstance(value, (list, tuple)):
        for i, part in enumerate(value):
            check_plain_data(f"{field}[{i}]", part, place)
    elif not (value is None or isinstance(value, (bool, int, float))):
        raise place.fault(field, value, "not plain data", "write what JSON can hold")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
