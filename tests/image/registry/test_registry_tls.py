"""TLS to registries: whom we trust, and that nobody leads us away from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trustme

from bigflow_backend.errors import UserError
from bigflow_backend.image.bases import read_base
from bigflow_backend.image.registry import Access, Registries, push_image
from bigflow_backend.image.registry.connection import Connection
from support.oci_images import make_image
from support.registry import started_registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bigflow_backend.image.store import BlobStore
    from support.registry import Registry


@pytest.fixture
def tls_registry(tmp_path: Path) -> Iterator[Registry]:
    """A registry whose certificate is signed by the authority in ``authority.pem``."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    tls = {"certificate": str(tmp_path / "certificate.pem"), "key": str(tmp_path / "key.pem")}
    with started_registry(tmp_path, tls=tls) as started:
        yield started


def test_an_authority_of_the_users_own(
    tls_registry: Registry, store: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    image = make_image(store)
    name = f"{tls_registry.address}/team/base:1"
    with Registries() as registries:
        push_image(image, name, store=store, registries=registries)
        base = read_base(
            name, architecture="amd64", root=tmp_path, store=store, registries=registries
        )
    assert base.digest == image.digest


def test_an_authority_that_nobody_trusts(
    tls_registry: Registry, store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    address = tls_registry.address
    with Registries() as registries, pytest.raises(UserError) as caught:
        push_image(make_image(store), f"{address}/a/b:1", store=store, registries=registries)
    assert caught.value.message.startswith(
        f"no trusted connection to the registry {address}: unable to get local issuer certificate"
    )
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
    with pytest.raises(UserError, match=r"sends to storage\.example\.com, which has no TLS"):
        connection.url("http://storage.example.com/x?signature=1")
    connection.close()
