"""TLS to registries: whom we trust, and that nobody leads us away from it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.base.read import read_base
from bigflow_backend.image.registry import Access, Registries, push_image
from bigflow_backend.image.registry import tls as trust
from bigflow_backend.image.registry.connection import Connection
from support.images import make_image
from support.registry import started_registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bigflow_backend.image.store.blobs import BlobStore
    from support.registry import Registry

_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


@pytest.fixture
def tls_registry(tmp_path: Path) -> Iterator[Registry]:
    """A registry whose certificate is signed by the authority in ``authority.pem``."""
    _certified(tmp_path)
    with started_registry(tmp_path, tls=_tls(tmp_path)) as started:
        yield started


def _certified(directory: Path) -> trustme.CA:
    """An authority, and a certificate of its for this machine."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "authority.pem")
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(directory / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(directory / "certificate.pem")
    return authority


def _tls(directory: Path) -> dict[str, Any]:
    return {"certificate": str(directory / "certificate.pem"), "key": str(directory / "key.pem")}


def _copied(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True)
    shutil.copy(source, target)


@pytest.fixture(autouse=True)
def _no_authorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither this machine's configuration, nor the user's."""
    for name in _BUNDLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))


def _pushed_and_read(registry: Registry, store: BlobStore) -> None:
    image = make_image(store)
    name = f"{registry.address}/team/base:1"
    with Registries() as registries:
        push_image(image, name, store=store, registries=registries)
        base = read_base(
            name, architecture="amd64", root=store.root, store=store, registries=registries
        )
    assert base.digest == image.digest


@pytest.mark.parametrize("variable", _BUNDLES)
def test_an_authority_of_the_users_own(
    tls_registry: Registry,
    store: BlobStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "authority.pem"))
    _pushed_and_read(tls_registry, store)


@pytest.mark.parametrize("place", ["user", "machine"])
def test_an_authority_for_one_registry(
    tls_registry: Registry,
    store: BlobStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    """Docker's certs.d: of the user's configuration, or of the machine."""
    monkeypatch.setattr(trust, "_SHARED", (tmp_path / "etc" / "certs.d",))
    directory = tmp_path / ("docker" if place == "user" else "etc") / "certs.d"
    _copied(tmp_path / "authority.pem", directory / tls_registry.address / "ca.crt")
    # One for another registry does not count.
    _copied(tmp_path / "key.pem", directory / "localhost:1" / "ca.crt")
    _pushed_and_read(tls_registry, store)


def test_a_certificate_of_the_users(
    store: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry that wants one: the *.cert and *.key beside the *.crt."""
    authority = _certified(tmp_path)
    own = authority.issue_cert("ada")
    with started_registry(
        tmp_path, tls={**_tls(tmp_path), "clientcas": [str(tmp_path / "authority.pem")]}
    ) as started:
        directory = tmp_path / "docker" / "certs.d" / started.address
        _copied(tmp_path / "authority.pem", directory / "ca.crt")
        with pytest.raises(UserError):
            _pushed_and_read(started, store)
        own.private_key_pem.write_to_path(directory / "client.key")
        own.cert_chain_pems[0].write_to_path(directory / "client.cert")
        _pushed_and_read(started, store)


@pytest.mark.parametrize("name", ["ca.crt", "client.cert"])
def test_a_certificate_that_is_none(store: BlobStore, tmp_path: Path, name: str) -> None:
    path = tmp_path / "docker" / "certs.d" / "registry.example.com" / name
    path.parent.mkdir(parents=True)
    path.write_text("none")
    with Registries() as registries, pytest.raises(UserError) as caught:
        registries.connection("registry.example.com")
    assert caught.value.message.startswith(f"cannot use the certificate {path}: ")


def test_a_bundle_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    with Registries() as registries, pytest.raises(UserError) as caught:
        registries.connection("registry.example.com")
    assert caught.value.message == "SSL_CERT_FILE names /nowhere/ca.pem, which does not exist"


def test_an_authority_that_nobody_trusts(tls_registry: Registry, store: BlobStore) -> None:
    address = tls_registry.address
    with Registries() as registries, pytest.raises(UserError) as caught:
        push_image(make_image(store), f"{address}/a/b:1", store=store, registries=registries)
    assert caught.value.message.startswith(
        f"no trusted connection to the registry {address}: unable to get local issuer certificate"
    )
    assert f"/etc/docker/certs.d/{address}/ca.crt" in caught.value.hint
    assert "REQUESTS_CA_BUNDLE" in caught.value.hint


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/v2/a/blobs/uploads/1?_state=x", "https://r.example.com/v2/a/blobs/uploads/1?_state=x"),
        ("https://r.example.com/v2/x", "https://r.example.com/v2/x"),
        # A registry behind a proxy that does TLS for it.
        ("http://r.example.com/v2/x?a=b", "https://r.example.com/v2/x?a=b"),
        ("https://storage.example.com/x", "https://storage.example.com/x"),
    ],
)
def test_the_place_of_an_upload(location: str, expected: str) -> None:
    connection = Connection("r.example.com", Access())
    assert connection.url(location) == expected
    connection.close()


def test_an_upload_does_not_leave_tls() -> None:
    connection = Connection("r.example.com", Access())
    with pytest.raises(UserError, match=r"redirects to storage\.example\.com, which has no TLS"):
        connection.url("http://storage.example.com/x?signature=1")
    connection.close()
