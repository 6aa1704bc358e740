"""A registry that fails: what helps is tried again, all else is message in one line."""

from __future__ import annotations

import email.utils
import itertools
import json
import os
import socket
import time
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.base.read import fetch_layers, read_base
from bigflow_backend.image.oci import LAYER_GZIP, LAYER_ZSTD
from bigflow_backend.image.registry import Access, Registries, push_image
from bigflow_backend.image.registry.retry import retry_after_seconds
from support.faulty_registry import Failure, faulty
from support.images import make_image
from support.matrix import rest_slow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bigflow_backend.image.oci import BaseImage
    from bigflow_backend.image.store.blobs import BlobStore
    from support.faulty_registry import FaultyRegistry
    from support.registry import Registry

_MEBIBYTE = 1 << 20
_MANY = 1000
_BLOB = "/blobs/sha256:"


@pytest.fixture
def pauses() -> list[float]:
    """The pauses between tries, in seconds."""
    return []


@pytest.fixture
def registries(pauses: list[float]) -> Iterator[Registries]:
    with Registries(Access(pause=pauses.append)) as opened:
        yield opened


@pytest.fixture
def image(
    registry: Registry, faulty_registry: FaultyRegistry, store: BlobStore, registries: Registries
) -> str:
    """The name of an image with a layer of 3 MiB, without failures so far."""
    manifest = make_image(store, os.urandom(3 * _MEBIBYTE))
    push_image(manifest, f"{registry.address}/team/base:1", store=store, registries=registries)
    return f"{faulty_registry.address}/team/base:1"


@pytest.mark.parametrize("failure", ["drop", 500, 502, 503, 504, 429])
def test_a_passing_error_of_a_pull_passes(
    *,
    failure: str | int,
    image: str,
    faulty_registry: FaultyRegistry,
    empty_store: BlobStore,
    registries: Registries,
    pauses: list[float],
) -> None:
    for path in ("/manifests/", _BLOB):
        faulty_registry.failures.append(_failure("GET", path, failure, times=2))
    base = _read(image, empty_store, registries)
    fetch_layers(base, store=empty_store, registries=registries)
    assert empty_store.has(base.layers[0].descriptor.digest)
    assert len(pauses) == 4
    assert pauses[0] < pauses[1]


_PUSH_FAILURES = ("drop", 500, 503, 429)
_PUSH_REQUESTS = (
    ("HEAD", "/manifests/"),
    ("HEAD", _BLOB),
    ("POST", "/blobs/uploads/"),
    ("PATCH", "/blobs/uploads/"),
    ("PUT", "/blobs/uploads/"),
    ("PUT", "/manifests/"),
)


@pytest.mark.parametrize(
    ("failure", "method", "path"),
    rest_slow(
        [(failure, *request) for failure in _PUSH_FAILURES for request in _PUSH_REQUESTS],
        quick=[(f, *r) for f, r in zip(itertools.cycle(_PUSH_FAILURES), _PUSH_REQUESTS)],
    ),
)
def test_a_passing_error_of_a_push_passes(
    *,
    failure: str | int,
    method: str,
    path: str,
    faulty_registry: FaultyRegistry,
    store: BlobStore,
    empty_store: BlobStore,
    registries: Registries,
    pauses: list[float],
) -> None:
    manifest = make_image(store, os.urandom(2 * _MEBIBYTE))
    faulty_registry.failures.append(_failure(method, path, failure, times=2))
    name = f"{faulty_registry.address}/team/passing:1"
    push_image(manifest, name, store=store, registries=registries)
    assert len(pauses) == 2
    fetch_layers(_read(name, empty_store, registries), store=empty_store, registries=registries)


def test_a_registry_is_waited_for_as_long_as_it_asks(
    image: str,
    faulty_registry: FaultyRegistry,
    empty_store: BlobStore,
    registries: Registries,
    pauses: list[float],
) -> None:
    for value in ("7", "120", "soon"):
        headers = {"Retry-After": value}
        faulty_registry.failures.append(Failure("GET", "/manifests/", status=429, headers=headers))
    _read(image, empty_store, registries)
    assert pauses[:2] == [7, 120]
    assert pauses[2] < 7


@pytest.mark.parametrize(("asked", "left"), [(10_000, None), (121, 3600), (100, 60)])
def test_a_registry_that_asks_to_wait_too_long_is_not_waited_for(
    *,
    asked: int,
    left: float | None,
    image: str,
    faulty_registry: FaultyRegistry,
    empty_store: BlobStore,
    pauses: list[float],
) -> None:
    headers = {"Retry-After": str(asked)}
    faulty_registry.failures.append(Failure("GET", "/manifests/", status=429, headers=headers))
    deadline = None if left is None else time.monotonic() + left
    with Registries(Access(pause=pauses.append, deadline=deadline)) as waiting:
        message = _error_of(image, empty_store, waiting)
    assert message.startswith(f"the registry {faulty_registry.address} answered 429 (Too Many ")
    assert message.endswith(f"; it asks for a pause of {asked} seconds, which is too long")
    assert pauses == []


def test_each_further_try_is_announced(
    image: str, faulty_registry: FaultyRegistry, empty_store: BlobStore, pauses: list[float]
) -> None:
    lines: list[str] = []
    headers = {"Retry-After": "7"}
    faulty_registry.failures += [
        Failure("GET", "/manifests/", drop_after=-1),
        Failure("GET", "/manifests/", status=429, headers=headers),
    ]
    with Registries(Access(pause=pauses.append, say=lines.append)) as talking:
        _read(image, empty_store, talking)
    start = f"the registry {faulty_registry.address} "
    end = f"while asking for the manifest of {image}"
    assert lines == [
        f"{start}dropped the connection {end}: retry 2 of 5 in 1 s",
        f"{start}answered 429 (Too Many Requests) {end}: retry 3 of 5 in 7 s",
    ]


def test_retry_after() -> None:
    date = email.utils.formatdate(time.time() + 1000, usegmt=True)
    asked = retry_after_seconds(date)
    assert asked is not None
    assert 900 < asked <= 1000
    assert retry_after_seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert retry_after_seconds(None) is None


@pytest.mark.parametrize("year", ["9999", "99999999999999", "9" * 400])
def test_a_pause_until_a_late_year(
    year: str, image: str, faulty_registry: FaultyRegistry, empty_store: BlobStore
) -> None:
    headers = {"Retry-After": f"Mon, 01 Jan {year} 00:00:00 GMT"}
    failure = Failure("GET", "/manifests/", status=429, headers=headers, times=9)
    faulty_registry.failures.append(failure)
    with Registries(Access(pause=lambda _seconds: None)) as waiting:
        message = _error_of(image, empty_store, waiting)
    assert "a pause of more than a day" in message or "answered 429" in message


def test_a_pause_of_too_many_seconds() -> None:
    assert retry_after_seconds("9" * 60) == float("9" * 60)
    assert retry_after_seconds("9" * 5000) is None


def test_a_download_goes_on_where_it_stopped(
    image: str, faulty_registry: FaultyRegistry, empty_store: BlobStore, registries: Registries
) -> None:
    base = _read(image, empty_store, registries)
    for _ in range(2):
        faulty_registry.failures.append(Failure("GET", _BLOB, drop_after=_MEBIBYTE))
    faulty_registry.requests.clear()
    fetch_layers(base, store=empty_store, registries=registries)
    assert [r.headers.get("Range") for r in faulty_registry.requests] == [
        None,
        f"bytes={_MEBIBYTE}-",
        f"bytes={2 * _MEBIBYTE}-",
    ]
    assert empty_store.has(base.layers[0].descriptor.digest)


def test_a_server_without_ranges_sends_all_again(
    image: str, faulty_registry: FaultyRegistry, empty_store: BlobStore, registries: Registries
) -> None:
    base = _read(image, empty_store, registries)
    faulty_registry.failures += [
        Failure("GET", _BLOB, drop_after=_MEBIBYTE),
        Failure("GET", _BLOB, without="Range"),
    ]
    fetch_layers(base, store=empty_store, registries=registries)
    assert empty_store.has(base.layers[0].descriptor.digest)


def test_a_connection_that_drops_often_but_gets_on(
    image: str, faulty_registry: FaultyRegistry, empty_store: BlobStore, registries: Registries
) -> None:
    base = _read(image, empty_store, registries)
    faulty_registry.failures.append(Failure("GET", _BLOB, drop_after=_MEBIBYTE // 4, times=_MANY))
    fetch_layers(base, store=empty_store, registries=registries)
    assert empty_store.has(base.layers[0].descriptor.digest)
    assert faulty_registry.count("GET", _BLOB) > 10


def test_parts_that_do_not_fit_are_fetched_as_a_whole(
    image: str, faulty_registry: FaultyRegistry, empty_store: BlobStore, registries: Registries
) -> None:
    base = _read(image, empty_store, registries)
    faulty_registry.failures += [
        Failure("GET", _BLOB, drop_after=_MEBIBYTE),
        Failure("GET", _BLOB, is_corrupt=True),
    ]
    fetch_layers(base, store=empty_store, registries=registries)
    assert empty_store.has(base.layers[0].descriptor.digest)


def test_an_upload_that_was_cut_is_made_whole(
    faulty_registry: FaultyRegistry,
    store: BlobStore,
    empty_store: BlobStore,
    registries: Registries,
) -> None:
    manifest = make_image(store, os.urandom(3 * _MEBIBYTE))
    faulty_registry.failures.append(Failure("PATCH", "/uploads/", drop_upload_after=_MEBIBYTE))
    name = f"{faulty_registry.address}/team/cut:1"
    push_image(manifest, name, store=store, registries=registries)
    fetch_layers(_read(name, empty_store, registries), store=empty_store, registries=registries)


def test_a_registry_that_refuses_to_continue_gets_the_whole_again(
    faulty_registry: FaultyRegistry,
    store: BlobStore,
    empty_store: BlobStore,
    registries: Registries,
) -> None:
    manifest = make_image(store, os.urandom(3 * _MEBIBYTE))
    faulty_registry.failures += [
        Failure("PATCH", "/uploads/", drop_upload_after=_MEBIBYTE),
        Failure("GET", "/uploads/", status=204, headers={"Range": f"0-{_MEBIBYTE - 1}"}),
        Failure("PATCH", "/uploads/", status=400, body=_error("UNSUPPORTED")),
    ]
    name = f"{faulty_registry.address}/team/no-parts:1"
    push_image(manifest, name, store=store, registries=registries)
    ranges = [
        r.headers.get("Content-Range") for r in faulty_registry.requests if r.method == "PATCH"
    ]
    assert [r is None for r in ranges] == [True, False, True]
    fetch_layers(_read(name, empty_store, registries), store=empty_store, registries=registries)


@pytest.mark.parametrize(
    ("failure", "event"),
    [
        ("drop", "dropped the connection 5 times while"),
        (429, "answered 429 (Too Many Requests)"),
        (500, "answered 500 (Internal Server Error)"),
        (503, "answered 503 (Service Unavailable)"),
        (404, None),
        (401, "requires credentials: it answered 401 (Unauthorized)"),
        (403, "refuses access: it answered 403 (Forbidden)"),
        (418, "answered 418 (I'm a Teapot)"),
    ],
)
def test_a_lasting_error_is_reported(
    *,
    failure: str | int,
    event: str | None,
    image: str,
    faulty_registry: FaultyRegistry,
    store: BlobStore,
    empty_store: BlobStore,
    registries: Registries,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "none"))
    address = faulty_registry.address
    base = _read(image, empty_store, registries)
    manifest = make_image(store, b"new", os.urandom(2 * _MEBIBYTE))
    layer = base.layers[0].descriptor.digest
    steps: list[tuple[str, str, Callable[[], object]]] = [
        ("GET", "/manifests/2", lambda: _read(f"{image[:-1]}2", empty_store, registries)),
        ("GET", _BLOB, lambda: fetch_layers(base, store=empty_store, registries=registries)),
        *(
            (
                method,
                path,
                lambda: push_image(
                    manifest, f"{address}/team/new:1", store=store, registries=registries
                ),
            )
            for method, path in (
                ("HEAD", "/manifests/"),
                ("HEAD", _BLOB),
                ("POST", "/uploads/"),
                ("PATCH", "/uploads/"),
                ("PUT", "/uploads/"),
                ("PUT", "/manifests/"),
            )
        ),
    ]
    for method, path, step in steps:
        if failure == 404 and method == "HEAD":
            continue  # this is the normal answer for a missing blob
        faulty_registry.failures[:] = [_failure(method, path, failure, times=_MANY)]
        with pytest.raises(UserError) as caught:
            step()
        message, hint = caught.value.message, caught.value.hint
        if path == "/manifests/2" and failure == 404:
            assert message == f"the registry {address} has no image {image[:-1]}2"
        else:
            assert message.startswith(f"the registry {address} ")
            assert (event or "answered 404 (Not Found)") in message
            # The answer to a HEAD has no body.
            assert ("not so fast" in message) == (failure != "drop" and method != "HEAD")
            assert ("5 times while" in message) == (failure in {"drop", 429, 500, 503})
        assert "\n" not in message + hint
        assert hint
    faulty_registry.failures.clear()
    assert not empty_store.has(layer)
    assert list((empty_store.root / "partial").iterdir()) == []
    assert (
        push_image(manifest, f"{address}/team/new:1", store=store, registries=registries).digest
        == manifest.digest
    )


def test_nobody_listens(store: BlobStore, registries: Registries, pauses: list[float]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"localhost:{unused.getsockname()[1]}"
        message = _error_of(f"{address}/team/base:1", store, registries)
    assert message == f"no registry answers at {address}: Connection refused"
    assert pauses == []


def test_a_name_that_nobody_knows(store: BlobStore, registries: Registries) -> None:
    message = _error_of("registry.invalid/team/base:1", store, registries)
    assert message.startswith("no registry answers at registry.invalid: ")


_ELSEWHERE = (
    "no server answers at localhost:1, to which the registry {} redirects: Connection refused"
)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("path", ["/manifests/", _BLOB])
def test_a_redirection_to_a_host_that_is_gone(
    *,
    path: str,
    status: int,
    image: str,
    faulty_registry: FaultyRegistry,
    empty_store: BlobStore,
    registries: Registries,
) -> None:
    headers = {"Location": "http://localhost:1/cdn?signature=hidden"}
    faulty_registry.failures.append(Failure("GET", path, status=status, headers=headers))
    message = _error_of(image, empty_store, registries)
    assert message == _ELSEWHERE.format(faulty_registry.address)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_an_upload_to_a_host_that_is_gone(
    method: str, faulty_registry: FaultyRegistry, store: BlobStore, registries: Registries
) -> None:
    manifest = make_image(store, os.urandom(2 * _MEBIBYTE))
    headers = {"Location": "http://localhost:1/cdn?signature=hidden"}
    faulty_registry.failures.append(Failure(method, "/uploads/", status=202, headers=headers))
    with pytest.raises(UserError) as caught:
        push_image(
            manifest, f"{faulty_registry.address}/team/x:1", store=store, registries=registries
        )
    assert caught.value.message == _ELSEWHERE.format(faulty_registry.address)
    assert "localhost:1" in caught.value.hint


@pytest.mark.parametrize(
    ("failure", "event"),
    [
        ({"drop_after": -1}, "dropped the connection 5 times while asking for the manifest of "),
        ({"status": 503}, "answered 503 (Service Unavailable) 5 times while asking for the "),
        ({"status": 403}, "answered 403 (Forbidden) while asking for the manifest of "),
        ({"status": 404}, None),
    ],
)
def test_a_redirection_to_a_host_that_fails(
    *,
    failure: dict[str, int],
    event: str | None,
    registry: Registry,
    faulty_registry: FaultyRegistry,
    store: BlobStore,
    registries: Registries,
) -> None:
    with faulty(registry.address) as other:
        other.failures.append(Failure("GET", "/cdn", times=_MANY, **failure))  # type: ignore[arg-type]
        headers = {"Location": f"http://{other.address}/cdn"}
        faulty_registry.failures.append(
            Failure("GET", "/manifests/", status=307, headers=headers, times=_MANY)
        )
        name = f"{faulty_registry.address}/team/base:1"
        message = _error_of(name, store, registries)
    if event is None:
        assert message == f"the registry {faulty_registry.address} has no image {name}"
    else:
        start = (
            f"the registry {faulty_registry.address} redirects to {other.address}, which {event}"
        )
        assert message.startswith(start)


@pytest.mark.parametrize("location", ["http://localhost:99999/x", "http://[::1/x", "ftp://a.b/x"])
def test_a_redirect_to_an_invalid_url(
    location: str, faulty_registry: FaultyRegistry, store: BlobStore, registries: Registries
) -> None:
    headers = {"Location": location}
    faulty_registry.failures += [
        Failure("GET", "/manifests/", status=307, headers=headers),
        Failure("POST", "/uploads/", status=202, headers=headers),
    ]
    name = f"{faulty_registry.address}/team/nowhere:1"
    message = f"the registry {faulty_registry.address} redirects to an invalid URL"
    assert _error_of(name, store, registries) == message
    with pytest.raises(UserError) as caught:
        push_image(make_image(store, b"nowhere"), name, store=store, registries=registries)
    assert caught.value.message == message


def test_a_redirection_without_end(
    faulty_registry: FaultyRegistry, store: BlobStore, registries: Registries
) -> None:
    headers = {"Location": "/v2/team/circle/manifests/1"}
    faulty_registry.failures.append(
        Failure("GET", "/manifests/", status=307, headers=headers, times=_MANY)
    )
    message = _error_of(f"{faulty_registry.address}/team/circle:1", store, registries)
    assert message == f"the registry {faulty_registry.address} redirects in a cycle"


def test_something_that_is_no_registry(
    faulty_registry: FaultyRegistry, store: BlobStore, registries: Registries
) -> None:
    faulty_registry.failures.append(
        Failure("GET", "/manifests/", status=200, body=b"<html>welcome</html>")
    )
    name = f"{faulty_registry.address}/team/base:1"
    assert _error_of(name, store, registries) == (
        f"the registry {faulty_registry.address} sent a web page instead of the manifest of {name}"
    )


@pytest.mark.parametrize(
    ("status", "message", "hint"),
    [
        (202, "answered 202 (Accepted) without the header Location", "a proxy in front of it"),
        (400, "answered 400 (Bad Request) while pushing the blob", "the image's name"),
        (405, "answered 405 (Method Not Allowed) while pushing the blob", "accept no images"),
        (413, "answered 413 (", "limits the size"),
        (418, "answered 418 (I'm a Teapot) while pushing the blob", "see the log"),
    ],
)
def test_the_hint_fits_what_a_push_is_answered(
    *,
    status: int,
    message: str,
    hint: str,
    faulty_registry: FaultyRegistry,
    store: BlobStore,
    registries: Registries,
) -> None:
    faulty_registry.failures.append(Failure("POST", "/uploads/", status=status))
    manifest = make_image(store, f"answered {status}".encode())
    with pytest.raises(UserError) as caught:
        push_image(
            manifest, f"{faulty_registry.address}/team/hint:1", store=store, registries=registries
        )
    assert caught.value.message.startswith(f"the registry {faulty_registry.address} {message}")
    assert hint in caught.value.hint


@pytest.mark.parametrize("path", ["/manifests/", _BLOB])
def test_a_registry_that_falls_silent(
    path: str, image: str, faulty_registry: FaultyRegistry, empty_store: BlobStore
) -> None:
    faulty_registry.failures.append(Failure("GET", path, is_silent=True, times=_MANY))
    access = Access(idle_timeout=0.1, attempts=2, pause=lambda _seconds: None)
    with Registries(access) as impatient:
        message = _error_of(image, empty_store, impatient)
    assert message.startswith(
        f"the registry {faulty_registry.address} sent no data in time 2 times while "
    )


def test_a_registry_that_is_too_slow(image: str, empty_store: BlobStore) -> None:
    with Registries(Access(deadline=time.monotonic())) as late:
        assert "was too slow" in _error_of(image, empty_store, late)


@pytest.mark.parametrize("path", ["/manifests/", _BLOB])
def test_corrupt_content(
    path: str,
    image: str,
    faulty_registry: FaultyRegistry,
    empty_store: BlobStore,
    registries: Registries,
) -> None:
    faulty_registry.failures.append(Failure("GET", path, is_corrupt=True, times=_MANY))
    message = _error_of(image, empty_store, registries)
    address = faulty_registry.address
    assert message.startswith(f"the registry {address} sent corrupt content: the ")
    assert "has the digest sha256:" in message
    blobs = [p.read_bytes()[:1] for p in (empty_store.root / "sha256").iterdir()]
    assert b"z" not in blobs  # what the first byte of a document becomes


def test_a_layer_that_is_corrupt_in_the_registry(
    image: str,
    registry: Registry,
    faulty_registry: FaultyRegistry,
    empty_store: BlobStore,
    registries: Registries,
) -> None:
    base = _read(image, empty_store, registries)
    layer = base.layers[0].descriptor
    stored = registry.blob_path(layer.digest)
    content = stored.read_bytes()
    for damaged, message in (
        (b"X" + content[1:], "sent corrupt content"),
        (content + b"X", "sent corrupt content: more than the"),
        (content[:-1], "5 times while"),
    ):
        stored.write_bytes(damaged)
        with pytest.raises(UserError) as caught:
            fetch_layers(base, store=empty_store, registries=registries)
        assert message in caught.value.message
        assert not empty_store.has(layer.digest)
    stored.write_bytes(content)
    fetch_layers(base, store=empty_store, registries=registries)
    assert empty_store.has(layer.digest, layer.size)


def test_a_blob_that_the_registry_lost(
    image: str, registry: Registry, empty_store: BlobStore, registries: Registries
) -> None:
    base = _read(image, empty_store, registries)
    registry.blob_path(base.layers[0].descriptor.digest).unlink()
    with pytest.raises(UserError, match=r"answered 404 \(Not Found\): blob unknown"):
        fetch_layers(base, store=empty_store, registries=registries)


def test_a_blob_that_is_damaged_here(
    faulty_registry: FaultyRegistry, store: BlobStore, registries: Registries
) -> None:
    manifest = make_image(store, b"damaged here")
    digest = json.loads(store.read(manifest.digest))["layers"][0]["digest"]
    path = store.path(digest)
    content = path.read_bytes()
    path.write_bytes(b"X" + content[1:])
    name = f"{faulty_registry.address}/team/damaged:1"
    with pytest.raises(UserError) as caught:
        push_image(manifest, name, store=store, registries=registries)
    assert caught.value.message.startswith(f"the cache was damaged: {path} did not have the digest")
    assert not path.exists()


def test_a_blob_that_is_damaged_on_its_way(
    faulty_registry: FaultyRegistry, store: BlobStore, registries: Registries
) -> None:
    manifest = make_image(store, b"damaged on its way")
    digest = json.loads(store.read(manifest.digest))["layers"][0]["digest"]
    faulty_registry.failures.append(
        # The configuration is sent at the same time.
        Failure("PUT", digest.partition(":")[2], status=400, body=_error("DIGEST_INVALID"))
    )
    name = f"{faulty_registry.address}/team/damaged:2"
    with pytest.raises(UserError) as caught:
        push_image(manifest, name, store=store, registries=registries)
    assert caught.value.message == (
        f"the registry {faulty_registry.address} received the blob {digest} damaged"
    )
    assert "a proxy in front of the registry" in caught.value.hint
    assert store.path(digest).exists()


def _read(name: str, store: BlobStore, registries: Registries) -> BaseImage:
    return read_base(
        name, architecture="amd64", root=store.root, store=store, registries=registries
    )


def _error_of(name: str, store: BlobStore, registries: Registries) -> str:
    with pytest.raises(UserError) as caught:
        _read(name, store, registries)
    assert "\n" not in caught.value.message + caught.value.hint
    assert caught.value.hint
    return caught.value.message


def _failure(method: str, path: str, kind: str | int, *, times: int) -> Failure:
    if isinstance(kind, str):
        return Failure(method, path, drop_after=-1, times=times)
    return Failure(method, path, status=kind, body=_error("TOOMANYREQUESTS"), times=times)


def _error(code: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": "not so\nfast"}]}).encode()


@pytest.mark.parametrize("status", [400, 415])
@pytest.mark.parametrize("place", ["/manifests/", "/uploads/"])
def test_a_registry_that_takes_no_zstandard(
    faulty_registry: FaultyRegistry,
    store: BlobStore,
    registries: Registries,
    place: str,
    status: int,
) -> None:
    name = f"{faulty_registry.address}/team/old{status}:1"
    advice = 'compression = "gzip"'
    for media_type, is_named in ((LAYER_ZSTD, True), (LAYER_GZIP, False)):
        image = make_image(store, os.urandom(9), layer_type=media_type)
        if place == "/manifests/":
            faulty_registry.failures.append(Failure("PUT", place, status=status))
        else:  # that of the layer
            digest = json.loads(store.read(image.digest))["layers"][0]["digest"]
            failure = Failure("PUT", digest.partition(":")[2], status=status)
            faulty_registry.failures.append(failure)
        with pytest.raises(UserError) as caught:
            push_image(image, name, store=store, registries=registries)
        assert (advice in caught.value.hint) is is_named
        assert f"answered {status}" in caught.value.message
        faulty_registry.failures.clear()
