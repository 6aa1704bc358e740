"""PEP 440 arithmetic: which tags are versions, and what comes after one.

https://packaging.python.org/en/latest/specifications/version-specifiers/
"""

from __future__ import annotations

import re
from typing import Literal, get_args

from bigflow_backend.ground.errors import UserError

try:
    from packaging.version import InvalidVersion
    from packaging.version import Version as Version  # noqa: PLC0414  (for the others here)
except ImportError as error:
    raise UserError(
        "the library `packaging` is not installed, without which versions cannot be compared",
        hint="pip install 'bigflow-backend[build]'",
    ) from error

Level = Literal["major", "minor", "patch"]

# At least two numbers: a tag `2026` or `v1` is a date, a build's number or a moving mark, and the
# highest "version" of all from then on.
_TAG = re.compile(r"[vV]?(?P<version>(\d+!)?\d+(\.\d+)+.*)", re.DOTALL)


def parse(text: str) -> Version | None:
    """The version that ``text`` is, or None."""
    try:
        return Version(text)
    except InvalidVersion:
        return None


def tagged(tag: str, prefix: str) -> Version | None:
    """The version that a tag names: ``prefix``, perhaps a ``v``, and a version; or None."""
    if not tag.startswith(prefix):
        return None
    match = _TAG.fullmatch(tag[len(prefix) :])
    return match and parse(match["version"])


def following(base: Version | None, distance: int, local: str) -> str:
    """The version of a commit that lies ``distance`` commits after ``base``.

    It sorts after ``base`` and before the next release: 1.2.0 -> 1.2.1.devN+local,
    1.2 -> 1.2.1.devN+local, 1.2.0rc1 -> 1.2.0rc2.devN+local,
    1.2.0.post1 -> 1.2.0.post2.devN+local. Without a base it is 0.0.devN+local. Between 1.3.0.dev1
    and 1.3.0.dev2 there is room for local versions only: 1.3.0.dev1+N.local.
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
    """The release that raises ``base`` by a level; a pre-release is raised to its own release.

    1.2.3 -> 2.0.0, 1.3.0 or 1.2.4; 1.3.0rc1 -> 2.0.0, 1.3.0 or 1.3.0. Without a base it counts
    from 0.0.0.
    """
    base = base or Version("0.0.0")
    major, minor, patch = _padded(base)[:3]
    # 1.3.0rc1 already stands for the minor release 1.3.0: only a lower number needs raising.
    early = base < Version(base.base_version) and not any(_padded(base)[3:])
    if level == "major":
        raised = (major if early and minor == patch == 0 else major + 1, 0, 0)
    elif level == "minor":
        raised = (major, minor if early and patch == 0 else minor + 1, 0)
    else:
        raised = (major, minor, patch if early else patch + 1)
    return Version(_release(base, *raised))


def is_level(word: str) -> bool:
    """Whether ``word`` is major, minor or patch."""
    return word in get_args(Level)


def _padded(version: Version) -> tuple[int, ...]:
    return version.release + (0,) * (3 - len(version.release))


def _release(base: Version, *numbers: int) -> str:
    epoch = f"{base.epoch}!" if base.epoch else ""
    return epoch + ".".join(map(str, numbers))
