"""Documents that are attached to an image, with and without the referrers API of a registry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.oci import INDEX, MANIFEST, Descriptor, canonical_json, sha256_digest
from bigflow_backend.image.reference import remote_name
from bigflow_backend.image.registry import Artifact, Registries, attach, fetch_manifest, push_image
from bigflow_backend.image.registry.push import RepositoryPush
from support.faulty_registry import Failure
from support.images import make_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bigflow_backend.image.store.blobs import BlobStore
    from support.faulty_registry import FaultyRegistry

_BILL = Artifact("bill.json", "application/vnd.cyclonedx+json", b'{"bill": 1}')
_STATEMENT = Artifact("statement.json", "application/vnd.in-toto+json", b"{}", {"kind": "slsa"})


@pytest.fixture
def registries() -> Iterator[Registries]:
    with Registries() as opened:
        yield opened


@pytest.fixture
def image(faulty_registry: FaultyRegistry, store: BlobStore, registries: Registries) -> Pushed:
    return Pushed(faulty_registry, store, registries)


class Pushed:
    """An image in a registry of its own repository."""

    def __init__(self, proxy: FaultyRegistry, store: BlobStore, registries: Registries) -> None:
        self.subject = make_image(store, proxy.address.encode())
        self.name = f"{proxy.address}/referrers/{proxy.address.rpartition(':')[2]}:1"
        self.proxy, self._store, self._registries = proxy, store, registries
        push_image(self.subject, self.name, store=store, registries=registries)
        proxy.requests.clear()

    def attach(self, *artifacts: Artifact) -> tuple[str, ...]:
        return attach(
            artifacts,
            self.subject,
            remote_name(self.name),
            store=self._store,
            registries=self._registries,
        )

    def read(self, reference: str) -> Any:
        separator = "@" if reference.startswith("sha256:") else ":"
        name = remote_name(f"{self.name.rpartition(':')[0]}{separator}{reference}")
        found = fetch_manifest(name, store=self._store, registries=self._registries)
        return json.loads(self._store.read(found.digest))

    @property
    def tag(self) -> str:
        return self.subject.digest.replace(":", "-")

    def put(self, content: bytes, media_type: str, tag: str) -> None:
        push = RepositoryPush(
            remote_name(f"{self.name.rpartition(':')[0]}:{tag}"),
            store=self._store,
            registries=self._registries,
            bases=(),
            say=lambda _line: None,
        )
        push.manifest(Descriptor(media_type, sha256_digest(content), len(content)), content)


def test_a_registry_without_the_referrers_api(image: Pushed) -> None:
    bill, statement = image.attach(_BILL, _STATEMENT)
    listed = image.read(image.tag)
    keys = ("digest", "artifactType", "annotations")
    assert [tuple(map(entry.get, keys)) for entry in listed["manifests"]] == [
        (bill, _BILL.media_type, None),
        (statement, _STATEMENT.media_type, {"kind": "slsa"}),
    ]
    manifest = image.read(bill)
    assert manifest["subject"] == image.subject.as_json()
    assert manifest["artifactType"] == _BILL.media_type
    (layer,) = manifest["layers"]
    assert layer["digest"] == sha256_digest(_BILL.content)
    # A second push changes nothing.
    assert image.attach(_BILL, _STATEMENT) == (bill, statement)
    assert image.read(image.tag) == listed


def test_the_entries_of_others_stay(image: Pushed) -> None:
    other = {"mediaType": MANIFEST, "digest": image.subject.digest, "size": image.subject.size}
    own = {"schemaVersion": 2, "mediaType": INDEX, "annotations": {"a": "b"}, "manifests": [other]}
    image.put(canonical_json(own), INDEX, image.tag)
    (bill,) = image.attach(_BILL)
    listed = image.read(image.tag)
    assert listed["annotations"] == {"a": "b"}
    assert [entry["digest"] for entry in listed["manifests"]] == [other["digest"], bill]


def test_a_registry_with_the_referrers_api(image: Pushed) -> None:
    answer = {"OCI-Subject": image.subject.digest}
    image.proxy.failures.append(Failure("PUT", "/manifests/sha256:", 201, answer, times=2))
    image.attach(_BILL, _STATEMENT)
    assert image.proxy.count("PUT", "/manifests/") == 2
    assert not image.proxy.count("GET", "/manifests/")


def test_a_list_that_another_push_replaces(image: Pushed) -> None:
    """The answer of the registry to our list is good, and the list is gone again."""
    image.proxy.failures.append(Failure("PUT", f"/manifests/{image.tag}", 201))
    (bill,) = image.attach(_BILL)
    assert [entry["digest"] for entry in image.read(image.tag)["manifests"]] == [bill]
    assert image.proxy.count("PUT", image.tag) == 2


def test_a_list_that_others_replace_each_time(image: Pushed) -> None:
    image.proxy.failures.append(Failure("PUT", f"/manifests/{image.tag}", 201, times=99))
    with pytest.raises(UserError, match="other builds replace the list"):
        image.attach(_BILL)


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b'{"manifests": {}}',
        b'{"manifests": [{"digest": 1}]}',
        b'{"mediaType": "application/vnd.oci.image.manifest.v1+json"}',
    ],
)
def test_a_tag_that_is_not_a_list(image: Pushed, body: bytes) -> None:
    image.proxy.failures.append(Failure("GET", f"/manifests/{image.tag}", 200, body=body))
    with pytest.raises(UserError, match="is not a list of documents"):
        image.attach(_BILL)
    assert not image.proxy.count("PUT", image.tag)


def test_a_list_without_an_end(image: Pushed) -> None:
    body = b" " * (5 << 20)
    image.proxy.failures.append(Failure("GET", f"/manifests/{image.tag}", 200, body=body))
    with pytest.raises(UserError, match="more than the expected"):
        image.attach(_BILL)
