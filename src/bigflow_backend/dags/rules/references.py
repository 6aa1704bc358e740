"""References of images, as the Docker distribution defines them.

https://github.com/distribution/reference/blob/main/reference.go
"""

from __future__ import annotations

import re

_HOST = (
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*"
)
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<name>(?:{_HOST}(?::[0-9]+)?/)?{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?P<tag>:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
    r"(?P<digest>@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
_NAME_LENGTH = 255


def is_image_reference(text: str) -> bool:
    """Whether ``text`` names one image: by a tag, a digest, or both."""
    found = _REFERENCE.fullmatch(text)
    return bool(found and len(found["name"]) <= _NAME_LENGTH and (found["tag"] or found["digest"]))
