"""URLs: their origin, and texts without their secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote, urlsplit

_PORTS = {"http": 80, "https": 443}
_HIDDEN = "***"
# A shorter text stands in other words by chance. Inside a URL it is hidden as well.
_SHORTEST_SECRET = 4
_LIKELY_TOKEN = 12
# Parts of paths that indexes have in common. Every other part may be a token.
_PLAIN = re.compile(
    r"-|simple|pypi|python|index|links|find-links|packages|wheels|dist|files|download|legacy|root"
    r"|api|repository|repositories|artifactory|projects|groups|v?[0-9]{1,9}|"
)
_URL = re.compile(r"(?:[\w.-]+=(?=\w+://))?(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)?(?P<rest>.*)")
# Some passwords hold / or @, though a URL should not. Spaces and quotes end a URL.
_CREDENTIALS = re.compile(r"(?<=://)[^\s'\"`<>]+@")
_QUERY = re.compile(r"(?P<start>://[^\s?'\"`<>]*\?)[^\s'\"`<>]+")


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port.

    :raises ValueError: if it is not a URL.
    """
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def redacted(text: str, urls: Iterable[str] = ()) -> str:
    """Return the text without the secrets of its URLs, and of ``urls`` wherever they stand.

    Hidden are user and password, the query, and in ``urls`` each part of the path that may be a
    token. ``urls`` are the configured ones, as the user wrote them: they need not be valid.
    """
    secrets, parts = set[str](), set[str]()
    for url in urls:
        _collect(url, secrets, parts)
    if secrets:
        text = re.sub(_any(secrets), _HIDDEN, text)
    if parts:
        text = re.sub(rf"(?<=/)(?:{_any(parts)})(?=$|[/?#\s'\"`<>(),;:])", _HIDDEN, text)
    text = _CREDENTIALS.sub(f"{_HIDDEN}@", text)
    return _QUERY.sub(rf"\g<start>{_HIDDEN}", text)


def _collect(url: str, secrets: set[str], parts: set[str]) -> None:
    """Add the secrets of a configured URL, and the parts of its path that may be one."""
    match = _URL.fullmatch(url.strip())
    if match is None:
        return
    user, _, place = match["rest"].rpartition("@")
    path, mark, query = _divided(place)
    name, colon, password = user.partition(":")
    # Some forges take a token as the user, with any password.
    found = {user, password, name if not colon or len(name) >= _LIKELY_TOKEN else ""}
    if mark:
        found |= {query, *re.split("[&=#]", query)}
    secrets |= {s for s in found if len(s) >= _SHORTEST_SECRET}
    parts |= {p for p in path.split("/")[1:] if not _PLAIN.fullmatch(p)}
    # What a strict parser takes for the path, if the password holds a slash.
    parts |= {p for p in user.split("/") if p}


def _divided(place: str) -> tuple[str, str, str]:
    match = re.search("[?#]", place)
    return (place, "", "") if match is None else (
        place[: match.start()], match[0], place[match.end() :],
    )  # fmt: skip


def _any(texts: Iterable[str]) -> str:
    """Return an expression for any of the texts, the longest first, in any percent-encoding."""
    forms = {form for text in texts for form in (text, unquote(text))}
    ordered = sorted(forms, key=lambda form: (-len(form), form))
    return "|".join("".join(_characters(form)) for form in ordered)


def _characters(text: str) -> Iterator[str]:
    for character in text:
        encoded = "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))
        # A quoted text may have a backslash before these.
        slash = r"\\?" if character in "'\"\\" else ""
        yield f"(?:{slash}{re.escape(character)}|(?i:{encoded}))"
