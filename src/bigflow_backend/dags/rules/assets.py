"""The URIs of assets, as all releases of Airflow accept and keep them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bigflow_backend.dags.rules.values import check_text

if TYPE_CHECKING:
    from bigflow_backend.dags.rules.location import Location

_LONGEST = 1500
"""Airflow 3 has columns of this length; those of Airflow 2 are longer."""


def check_assets(field: str, uris: Sequence[str], location: Location) -> None:
    """Refuse URIs that a release of Airflow refuses or changes."""
    for uri in uris:
        check_text(field, uri, location, longest=_LONGEST, lines=False)
        if why := _reason(uri):
            hint = "write a URI such as gs://bucket/rides: ASCII, without blanks, user and fragment"
            raise location.error(field, uri, why, hint)
    if len(set(uris)) < len(uris):
        raise location.error(field, list(uris), "with an asset twice", "remove one of the two")


def _reason(uri: str) -> str | None:
    if not uri.isascii() or " " in uri:
        return "which has a character that Airflow refuses"
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        return f"not a URI: {error}"
    if parts.scheme == "airflow" or uri.startswith("airflow:"):
        return "whose scheme Airflow keeps for itself"
    if parts.fragment or parts.username is not None:
        return "of which newer releases of Airflow remove a part"
    return None
