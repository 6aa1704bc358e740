"""The keys and the content of records, in an unambiguous encoding: no two inputs share a record."""

from __future__ import annotations

import hashlib
import json
from typing import NewType

Key = NewType("Key", str)
"""64 hexadecimal digits, from :func:`record_key`."""


def record_key(kind: str, *inputs: object) -> Key:
    """Return the key of a record of this kind, which is made of these inputs.

    ``inputs`` are values of JSON; the keys of all objects are texts. Text may be any Python string.
    """
    return Key(hashlib.sha256(record_content([kind, *inputs])).hexdigest())


def record_content(value: object) -> bytes:
    """Return canonical JSON in ASCII: names of files need not be valid Unicode."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")
