"""Arithmetic of PEP 440: versions in tags, and the versions after them.

https://packaging.python.org/en/latest/specifications/version-specifiers/
"""

from __future__ import annotations

import re
from typing import Literal, get_args

from bigflow_backend.ground.errors import UserError

try:
    from packaging.version import InvalidVersion
    from packaging.version import Version as Version  # noqa: PLC0414  (re-exported)
except ImportError as error:
    raise UserError(
        "the library `packaging` is not installed: versions cannot be compared without it",
        hint="pip install 'bigflow-backend[build]'",
    ) from error

Level = Literal["major", "minor", "patch"]

# A version has at least two numbers. A tag `2026` or `v1` is a date, a build number or a moving
# tag. As a version it would always be the highest.
_TAG = re.compile(r"[vV]?(?P<version>(\d+!)?\d+(\.\d+)+.*)", re.DOTALL)
_LONGEST = 200


def parse(text: str) -> Version | None:
    """Return the version in ``text``, or None if it is not a valid version.

    A wheel cannot have a version of more than 200 characters: it is part of the name of a file.
    """
    if len(text) > _LONGEST:  # Python refuses to convert numbers of more than 4,300 digits
        return None
    try:
        return Version(text)
    except InvalidVersion:
        return None


def tagged(tag: str, prefix: str) -> Version | None:
    """Return the version in a tag (``prefix``, an optional ``v``, a version), or None."""
    if not tag.startswith(prefix):
        return None
    match = _TAG.fullmatch(tag[len(prefix) :])
    return match and parse(match["version"])


def following(base: Version | None, distance: int, local: str) -> str:
    """Return the version of a commit that is ``distance`` commits after ``base``.

    It sorts after ``base`` and before the next release:

    - 1.2.0 -> 1.2.1.devN+local
    - 1.2 -> 1.2.1.devN+local
    - 1.2.0rc1 -> 1.2.0rc2.devN+local
    - 1.2.0.post1 -> 1.2.0.post2.devN+local
    - 1.3.0.dev1 -> 1.3.0.dev1+N.local, because only local versions sort before 1.3.0.dev2
    - None -> 0.0.devN+local
    """
    if base is None:
        return f"0.0.dev{distance}+{local}"
    if base.dev is not None:
        return f"{base.public}+{distance}.{local}"
    if base.post is not None:
        stem = f"{base.public.rpartition('.post')[0]}.post{base.post + 1}"
    elif base.pre is not None:
        letter, number = base.pre
        stem = f"{_release(base, *base.release)}{letter}{number + 1}"
    else:
        *head, last = _padded(base)
        stem = _release(base, *head, last + 1)
    return f"{stem}.dev{distance}+{local}"


def bump(base: Version | None, level: Level) -> Version:
    """Return ``base``, raised by a level. A pre-release becomes its own release.

    1.2.3 -> 2.0.0, 1.3.0 or 1.2.4; 1.3.0rc1 -> 2.0.0, 1.3.0 or 1.3.0. Without a base, 0.0.0 is
    raised.
    """
    base = base or Version("0.0.0")
    major, minor, patch = _padded(base)[:3]
    # 1.3.0rc1 already has the number of the minor release 1.3.0.
    early = base < Version(base.base_version) and not any(_padded(base)[3:])
    if level == "major":
        raised = (major if early and minor == patch == 0 else major + 1, 0, 0)
    elif level == "minor":
        raised = (major, minor if early and patch == 0 else minor + 1, 0)
    else:
        raised = (major, minor, patch if early else patch + 1)
    return Version(_release(base, *raised))


def is_level(word: str) -> bool:
    """Return True if ``word`` is major, minor or patch."""
    return word in get_args(Level)


def _padded(version: Version) -> tuple[int, ...]:
    return version.release + (0,) * (3 - len(version.release))


def _release(base: Version, *numbers: int) -> str:
    epoch = f"{base.epoch}!" if base.epoch else ""
    return epoch + ".".join(map(str, numbers))
