"""The syntax of names, labels, keys and quantities in Kubernetes.

https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from decimal import Decimal

_LONGEST_NAME = 63
_LONGEST_SUBDOMAIN = 253
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_LABEL = re.compile(rf"{_LABEL}\Z")
_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*\Z")
_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]\Z")
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*\Z")
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+\Z")
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([eE][+-]?\d+|[KMGTPE]i|[numkMGTPE])?\Z")

_DECIMAL_SUFFIXES = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY_SUFFIXES = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


def is_dns_label(text: str) -> bool:
    """Check an RFC 1123 label: the name of a container or a namespace."""
    return len(text) <= _LONGEST_NAME and bool(_DNS_LABEL.match(text))


def is_subdomain(text: str) -> bool:
    """Check an RFC 1123 subdomain: the name of most objects."""
    return len(text) <= _LONGEST_SUBDOMAIN and bool(_SUBDOMAIN.match(text))


def is_label_value(text: str) -> bool:
    return not text or (len(text) <= _LONGEST_NAME and bool(_NAME.match(text)))


def is_qualified_name(text: str) -> bool:
    """Check the key of a label or annotation, or the name of a resource: ``[prefix/]name``."""
    prefix, slash, name = text.rpartition("/")
    prefix_is_valid = is_subdomain(prefix) if slash else True
    return prefix_is_valid and len(name) <= _LONGEST_NAME and bool(_NAME.match(name))


def is_env_name(text: str) -> bool:
    return bool(_ENV_NAME.match(text))


def is_config_key(text: str) -> bool:
    """Check a key in the data of a Secret."""
    return (
        len(text) <= _LONGEST_SUBDOMAIN
        and bool(_CONFIG_KEY.match(text))
        and text not in {".", ".."}
    )


def parse_quantity(text: str) -> Decimal:
    """Return the number of a quantity such as ``500m``, ``1.5Gi`` or ``1e3``.

    :raises ValueError: if it is not a quantity.
    """
    match = _QUANTITY.match(text)
    if match is None:
        raise ValueError(text)
    number, suffix = Decimal(match[1]), match[2] or ""
    if suffix in _BINARY_SUFFIXES:
        return number * Decimal(2 ** _BINARY_SUFFIXES[suffix])
    if suffix in _DECIMAL_SUFFIXES:
        return number.scaleb(_DECIMAL_SUFFIXES[suffix])
    return number.scaleb(int(suffix[1:])) if suffix else number
