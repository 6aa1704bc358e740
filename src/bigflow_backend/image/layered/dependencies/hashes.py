"""The SHA-256 of each installed wheel, for the bill of materials.

A pin has the hashes of all files of its version. uv lists those for the platform of the image; the
tags in WHEEL say which of them it has installed.

https://packaging.python.org/en/latest/specifications/pylock-toml/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.layered.dependencies.resolver import canonical_name

if TYPE_CHECKING:
    from bigflow_backend.image.layered.dependencies.resolver import Pin, Resolver

_SHA256 = re.compile(r"[0-9a-f]{64}")
_ACCEPTED = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def wheel_hashes(
    resolver: Resolver, pins: Sequence[Pin], tags: Mapping[str, Sequence[str]], *, work: Path
) -> dict[str, str]:
    """Return the SHA-256 of the wheels, by normalised name, as far as it is certain.

    ``tags`` are those of the installed wheels. A distribution that was built here has none. If an
    index does not answer any more, the image is complete, and a line says what is not known.
    """
    if not pins:
        return {}
    try:
        listed = resolver.listed_files(pins, work=work)
    except (UserError, ValueError) as error:
        reason = error.message if isinstance(error, UserError) else error
        resolver.say(f"the bill of materials lacks the hashes of the wheels: {reason}")
        return {}
    accepted = {pin.name: set(_ACCEPTED.findall(pin.text)) for pin in pins}
    found = {}
    for name, wheels in _wheels(listed):
        known = accepted.get(name, set())
        fitting = {wheel: sha for wheel, sha in wheels.items() if not known or sha in known}
        own = frozenset(tags.get(name, ()))
        same = {sha for wheel, sha in fitting.items() if _tags(wheel) == own}
        certain = same if len(fitting) > 1 else set(fitting.values())
        if len(certain) == 1:
            found[name] = certain.pop()
    return dict(sorted(found.items()))


def _wheels(listed: Any) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the name of each package, and the SHA-256 of its wheels by their file names."""
    for package in listed.get("packages", ()):
        match package:
            case {"name": str(name), "wheels": list(wheels)}:
                yield canonical_name(name), dict(filter(None, map(_file, wheels)))
            case {"name": str(name), "archive": dict(archive)}:
                yield canonical_name(name), dict(filter(None, [_file(archive)]))


def _file(entry: object) -> tuple[str, str] | None:
    match entry:
        case {"hashes": {"sha256": str(sha256)}, **rest} if _SHA256.fullmatch(sha256):
            place = re.split("[?#]", str(rest.get("path") or rest.get("url")))[0]
            name = str(rest.get("name") or unquote(place).rpartition("/")[2])
            return (name, sha256) if name.endswith(".whl") else None
    return None


def _tags(wheel: str) -> frozenset[str]:
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        return frozenset(map(str, parse_wheel_filename(wheel)[3]))
    except InvalidWheelFilename:
        return frozenset()
