"""Checks of text and numbers, as Airflow's database stores them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bigflow_backend.dags.rules.location import Location

TAG_LENGTH = 100


def check_text(
    field: str, value: str, location: Location, *, longest: int | None = None, lines: bool = True
) -> None:
    """Refuse text that a database cannot store.

    With ``lines=False`` it must be one line that is not blank.
    """
    # PostgreSQL, the database of most Airflows, stores neither of them.
    if "\0" in value or not _is_unicode(value):
        raise location.error(
            field, value, "with a character that databases cannot store", "remove that character"
        )
    if longest is not None and len(value) > longest:
        raise location.error(
            field, value, f"{len(value)} characters long", f"Airflow accepts at most {longest}"
        )
    if not lines:
        _check_line(field, value, location)


def _check_line(field: str, value: str, location: Location) -> None:
    unprintable = [character for character in value if not character.isprintable()]
    if not value:
        why, hint = "it is empty", "write a value, or remove it"
    elif unprintable:
        why = f"it has the character U+{ord(unprintable[0]):04X}"
        hint = "remove that character; a line has only printable ones"
    elif value != value.strip():
        why, hint = "it starts or ends with a blank", "remove the blanks at its ends"
    else:
        return
    raise location.error(field, value, f"not a line of text: {why}", hint)


def check_whole(field: str, value: int, location: Location, *, least: int, most: int) -> None:
    """Refuse a whole number that is not in its range."""
    if not least <= value <= most:
        raise location.error(
            field, value, "not a whole number in its range", f"write {least} to {most}"
        )


def check_tags(tags: Iterable[str], location: Location) -> None:
    """Refuse tags that Airflow cannot store."""
    for tag in tags:
        check_text("tags", tag, location, longest=TAG_LENGTH, lines=False)


def check_texts(field: str, value: Any, location: Location) -> None:
    """Refuse text in plain data that :func:`check_text` refuses."""
    if isinstance(value, str):
        check_text(field, value, location)
    elif isinstance(value, dict):
        for key, part in value.items():
            check_text(field, key, location)
            check_texts(f"{field}[{key!r}]", part, location)
    elif isinstance(value, (list, tuple)):
        for i, part in enumerate(value):
            check_texts(f"{field}[{i}]", part, location)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
