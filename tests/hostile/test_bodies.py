"""Answers of a hostile registry: they drip, they never end, they unpack to gigabytes."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

import pytest

from hostile.runner import attempt
from hostile.server import Server, endless, error, head, matches, response, started_server

if TYPE_CHECKING:
    from hostile.runner import Outcome, Scratch

_PASSWORD = "TOKmsg-q83x-of-the-registry"
_MIB = b"\0" * (1 << 20)
_BOMB = gzip.compress(gzip.compress(_MIB * 64) * 16)
_DEEP = b"[" * 100_000
_ERROR = "x\x1b]0;pwned\x07\nbigflow: pushed \u202e\x9b2J"


_Row: TypeAlias = Callable[[Server, str], Iterable[bytes] | None]
_Body: TypeAlias = Callable[[Server], Iterable[bytes]]


def _manifest(answer: _Body) -> _Row:
    """Return what answers the request for the manifest."""
    return lambda server, request: answer(server) if matches(request, "/manifests/") else None


def _token(answer: _Body) -> _Row:
    """Return what answers the request for a token."""

    def row(server: Server, request: str) -> Iterable[bytes] | None:
        if matches(request, "^GET /token"):
            return answer(server)
        realm = f'Bearer realm="http://{server.address}/token",service="x"'
        return response(401, WWW_Authenticate=realm) if matches(request, "/manifests/") else None

    return row


def _blob(answer: _Body) -> _Row:
    """Return what answers the request for the configuration."""
    config = {"mediaType": "application/json", "digest": f"sha256:{'0' * 64}", "size": 1 << 20}
    manifest = {"mediaType": _TYPE, "config": config, "layers": []}

    def row(server: Server, request: str) -> Iterable[bytes] | None:
        if matches(request, "/manifests/"):
            return response(200, json.dumps(manifest).encode(), Content_Type=_TYPE)
        return answer(server) if matches(request, "/blobs/") else None

    return row


_TYPE = "application/vnd.oci.image.manifest.v1+json"
_CHUNKED = {"Transfer_Encoding": "chunked"}

DRIPS = {
    "a blob": _blob(lambda s: s.drip(head(200, Content_Length="1048576"))),
    "a manifest": _manifest(lambda s: s.drip(head(200, Content_Length="1048576"))),
    "a header": _manifest(lambda s: s.drip(b"HTTP/1.1 200 OK\r\nX: ")),
    "the status": _manifest(lambda s: s.drip(b"HTTP/1.1 ", b"0")),
    "100 Continue": _manifest(lambda s: s.drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n")),
    "a token": _token(lambda s: s.drip(head(200, Content_Length="1048576"))),
    "a header of a token": _token(lambda s: s.drip(b"HTTP/1.1 200 OK\r\nX: ")),
    "an error": _manifest(lambda s: s.drip(head(400, Content_Length="1048576"))),
    "a transient error": _manifest(lambda s: s.drip(head(503, Content_Length="1048576"))),
    "a redirect": _manifest(lambda s: s.drip(head(302, Location="/x", Content_Length="99"))),
    "the size of a chunk": _manifest(lambda s: s.drip(head(200, **_CHUNKED), b"1")),
    "a chunk": _manifest(lambda s: s.drip(head(200, **_CHUNKED) + b"fffff\r\n")),
    "trailers": _manifest(lambda s: s.drip(head(200, **_CHUNKED) + b"0\r\n", b"a: b\r\n")),
    "a pause of 100 seconds": _manifest(lambda _s: response(429, Retry_After="100")),
}
"""Each never ends, and is never silent for the idle timeout."""

BODIES = {
    "a manifest without end": _manifest(lambda _s: endless(head(200), _MIB)),
    "a manifest of another length": _manifest(lambda _s: endless(
        head(200, Content_Length="999999999999"), _MIB)),
    "an error without end": _manifest(lambda _s: endless(head(400), _MIB)),
    "a redirect without end": _manifest(lambda _s: endless(
        head(302, Location="http://127.0.0.1:1/"), _MIB)),
    "a token without end": _token(lambda _s: endless(head(200), _MIB)),
    "a header without end": _manifest(lambda _s: endless(b"HTTP/1.1 200 OK\r\nX: ", _MIB)),
    "headers without end": _manifest(lambda _s: endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 999)),
    "a chunk's size without end": _manifest(lambda _s: endless(head(200, **_CHUNKED), b"1" * 999)),
    "a redirect that is a bomb": _manifest(lambda _s: response(
        302, _BOMB, Location="http://127.0.0.1:1/", Content_Encoding="gzip")),
    "a manifest that is a bomb": _manifest(lambda _s: response(
        200, _BOMB, Content_Encoding="gzip")),
    "an error that is a bomb": _manifest(lambda _s: response(
        400, _BOMB, Content_Encoding="gzip, gzip")),
    "a token that is a bomb": _token(lambda _s: response(200, _BOMB, Content_Encoding="gzip")),
    "a cycle of redirects": _manifest(lambda _s: response(302, Location="/v2/base/manifests/1")),
    "a redirect of 60 kB": _manifest(lambda _s: response(302, Location=f"/{'x' * 60_000}")),
    "a redirect to a file": _manifest(lambda _s: response(302, Location="file:///etc/passwd")),
    "a redirect to no host": _manifest(lambda _s: response(302, Location="http://[::1/")),
    "a redirect with escapes": _manifest(lambda _s: response(302, Location="http://\x1b[2J/")),
    "an error with escapes": _manifest(lambda _s: response(400, error(_ERROR))),
    "an error of 60 kB": _manifest(lambda _s: response(400, error("x" * 60_000))),
    "a deep error": _manifest(lambda _s: response(400, _DEEP)),
    "a deep manifest": _manifest(lambda _s: response(200, _DEEP, Content_Type=_TYPE)),
    "a deep token": _token(lambda _s: response(200, _DEEP)),
    "a token of another type": _token(lambda _s: response(200, b'{"token": [1]}')),
    "a token with a line break": _token(lambda _s: response(200, b'{"token": "a\\r\\nX: y"}')),
    "a number as the error": _manifest(lambda _s: response(400, b'{"errors": 5}')),
    "the year 9999": _manifest(lambda _s: response(
        429, Retry_After="Fri, 31 Dec 9999 23:59:59 GMT")),
    "the year 99999999999999": _manifest(lambda _s: response(
        429, Retry_After="Mon, 01 Jan 99999999999999 00:00:00 GMT")),
    "a pause of 10^400 seconds": _manifest(lambda _s: response(429, Retry_After="9" * 400)),
    "a realm of 60 kB": _manifest(lambda _s: response(
        401, WWW_Authenticate=f'Bearer realm="http://{"x" * 60_000}/"')),
    "a realm without a host": _manifest(lambda _s: response(
        401, WWW_Authenticate='Bearer realm="http:///x"')),
    "no realm": _manifest(lambda _s: response(401, WWW_Authenticate="Bearer")),
    "a type with escapes": _manifest(lambda _s: response(
        200, b"{}", Content_Type="text/\x1b]0;x\x07")),
    "a digest of 60 kB": _manifest(lambda _s: response(
        200, b"{}", Content_Type=_TYPE, Docker_Content_Digest="9" * 60_000)),
    "a part of a large offset": _blob(lambda _s: response(
        206, b"x", Content_Range=f"bytes {'9' * 5000}-/*")),
}  # fmt: skip
"""Each is refused at once."""

_QUICK = {"a blob", "an error with escapes"}  # one of each table, as each takes seconds


def _rows(rows: Iterable[str]) -> list[object]:
    return [pytest.param(row, marks=() if row in _QUICK else pytest.mark.slow) for row in rows]


@pytest.mark.parametrize("name", _rows(DRIPS))
def test_drips(scratch: Scratch, name: str) -> None:
    """The timeout of the build ends each; here it is one second."""
    (scratch.project / "pyproject.toml").write_text("[tool.bigflow.image]\ntimeout = 1\n", "utf-8")
    outcome = _attempt(scratch, DRIPS[name])
    assert "timeout of the build" in outcome.error[0] or "pause of 100" in outcome.error[0]


@pytest.mark.parametrize("name", _rows(BODIES))
def test_bodies(scratch: Scratch, name: str) -> None:
    _attempt(scratch, BODIES[name])


@pytest.mark.slow
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_third_party_gets_no_password(scratch: Scratch, host: str) -> None:
    """The registry names another port as its token server, which may be another user's."""
    with started_server() as third:
        realm = f'Bearer realm="http://{host}:{third.port}/token",service="x"'
        outcome = _attempt(scratch, _manifest(lambda _s: response(401, WWW_Authenticate=realm)))
        assert third.heads == []
    assert f"token server {host}:{third.port}" in outcome.error[0]


def _attempt(scratch: Scratch, row: _Row) -> Outcome:
    """Build on an image of the registry, whose password the user has."""
    with started_server() as server:
        server.answer = lambda request: row(server, request)
        auths = {server.address: {"username": "ada", "password": _PASSWORD}}
        (scratch.root / "home/config.json").write_text(json.dumps({"auths": auths}), "utf-8")
        outcome = attempt(
            scratch,
            "build-image",
            *scratch.image_arguments(f"{server.address}/base:1"),
            DOCKER_CONFIG=str(scratch.root / "home"),
        )
    assert any("/v2/" in request for request in server.heads)
    assert _PASSWORD not in outcome.stdout + outcome.stderr
    return outcome
