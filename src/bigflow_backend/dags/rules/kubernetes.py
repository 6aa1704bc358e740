"""The rules of Kubernetes for names, labels and quantities.

https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import functools
import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", re.ASCII)
_SUBDOMAIN_LENGTH = 253

# The operator appends "-" and eight characters, and cuts the result at 63.
_POD_NAME_LENGTH = 54
_HASH_LENGTH = 9


def is_dns_label(text: str) -> bool:
    """Return whether this is an RFC 1123 label: the name of a namespace or a container."""
    return _DNS_LABEL.fullmatch(text) is not None


def is_dns_subdomain(text: str) -> bool:
    """Return whether this is an RFC 1123 subdomain: the name of a pod, a secret, an account."""
    return len(text) <= _SUBDOMAIN_LENGTH and all(
        re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", part) for part in text.split(".")
    )


def is_label_value(text: str) -> bool:
    return not text or _LABEL_VALUE.fullmatch(text) is not None


def is_qualified_name(text: str) -> bool:
    """Return whether this is the key of a label: a name, after an optional ``prefix/``."""
    prefix, slash, name = text.rpartition("/")
    return (not slash or is_dns_subdomain(prefix)) and _LABEL_VALUE.fullmatch(name) is not None


def label_value(text: str) -> str:
    """Return ``text`` as a label's value: unchanged if it is valid, else a part with a hash."""
    if is_label_value(text):
        return text
    kept = re.sub(r"[^A-Za-z0-9_.-]+", "", text)[: 63 - _HASH_LENGTH - 1].strip("-_.")
    return "-".join(filter(None, [kept, _hash(text)]))


@functools.cache
def pod_name(workflow: str, job: str) -> str:
    """Return the start of the names of a job's pods: an RFC 1123 label of at most 54 characters.

    A double hyphen separates the two ids, and no id contains it. So two names are equal only if
    the ids differ only in case, ``_`` and ``-``.
    """
    parts = [_slug(workflow), _slug(job)]
    name = "--".join(parts)
    if all(parts) and len(name) <= _POD_NAME_LENGTH and (workflow + job).isascii():
        return name
    kept = "--".join(filter(None, parts))[: _POD_NAME_LENGTH - _HASH_LENGTH - 1].rstrip("-")
    return "-".join(filter(None, [kept, _hash(f"{workflow}.{job}")]))


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]


_QUANTITY = re.compile(
    r"(?P<number>[0-9]+\.?[0-9]*|\.[0-9]+)"
    r"(?:(?P<suffix>[KMGTPE]i|[numkMGTPE])|[eE](?P<exponent>[+-]?[0-9]{1,2}))?",
    re.ASCII,
)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def quantity(text: str) -> Fraction | None:
    """Return the value of a quantity such as ``500m`` or ``2Gi``; None if it is not valid."""
    from fractions import Fraction

    found = _QUANTITY.fullmatch(text)
    if not found:
        return None
    suffix = found["suffix"] or ""
    unit = Fraction(1024 ** _BINARY[suffix]) if suffix in _BINARY else Fraction(1)
    exponent = int(found["exponent"] or _DECIMAL.get(suffix, 0))
    scale = Fraction(10**exponent) if exponent >= 0 else Fraction(1, 10**-exponent)
    return Fraction(found["number"].rstrip(".")) * unit * scale
