"""URLs: their origin, and texts without their secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable
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
_WORD = re.compile(r"[^\s'\"`<>]+")


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
    expressions = [_expression(secret) for secret in secrets]
    expressions += [rf"(?<=/)(?:{_expression(part)})(?=$|[/?#\s'\"`<>(),;:])" for part in parts]
    return _WORD.sub(lambda word: _without_secrets(word[0]), _hide(text, expressions))


def _without_secrets(word: str) -> str:
    """Return a word without the credentials and the query, if it is a URL."""
    start, mark, rest = word.partition("://")
    if not mark:
        return word
    # Up to the last @: some passwords hold / or @, though a URL should not.
    credentials, at, place = rest.rpartition("@")
    place, question, query = place.partition("?")
    return "".join(
        [start, mark, _HIDDEN if credentials else "", at, place, question, _HIDDEN if query else ""]
    )


def _hide(text: str, expressions: Iterable[str]) -> str:
    """Replace what the expressions match. Two matches may overlap."""
    spans = sorted(m.span() for one in expressions for m in re.finditer(one, text))
    shown, end = [], 0
    for first, last in spans:
        if first >= end:
            shown += [text[end:first], _HIDDEN]
        end = max(end, last)
    return "".join([*shown, text[end:]])


def _collect(url: str, secrets: set[str], parts: set[str]) -> None:
    """Add the secrets of a configured URL, and the parts of its path that may be one."""
    match = _URL.fullmatch(url.strip())
    if match is None:
        return
    rest = match["rest"]
    # A password that holds / or ? looks like a path or a query, and a query may hold @: both
    # readings are possible.
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    for end in {rest.rfind("@"), authority.rfind("@")}:
        user, place = rest[: max(0, end)], rest[end + 1 :]
        path, *query = re.split("[?#]", place, maxsplit=1)
        name, colon, password = user.partition(":")
        # Some forges take a token as the user, with any password.
        found = [user, password, name if not colon or len(name) >= _LIKELY_TOKEN else ""]
        found += [*query, *(part for text in query for part in re.split("[&=#]", text))]
        secrets |= {text for text in found if len(text) >= _SHORTEST_SECRET}
        parts |= {part for part in path.split("/")[1:] if not _PLAIN.fullmatch(part)}


def _expression(text: str) -> str:
    """Return an expression for the text in any percent-encoding."""
    forms = sorted({text, unquote(text)}, key=len, reverse=True)
    return "|".join("".join(map(_character, form)) for form in forms)


def _character(character: str) -> str:
    if character.isascii() and character.isalnum():
        return character
    encoded = "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))
    # A quoted text may have a backslash before these.
    slash = r"\\?" if character in "'\"\\" else ""
    return f"(?:{slash}{re.escape(character)}|(?i:{encoded}))"
