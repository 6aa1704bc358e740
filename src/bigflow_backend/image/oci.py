"""The terms of image formats, with the names of the OCI image specification.

https://github.com/opencontainers/image-spec ; Docker's schema 2 differs only in media types:
https://github.com/distribution/distribution/blob/main/docs/content/spec/manifest-v2-2.md
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, TypedDict

from bigflow_backend.ground.foreign.documents import DocumentError, typed
from bigflow_backend.ground.foreign.text import quoted

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
"""The configuration of a manifest that is not an image: ``{}``."""
LAYER_TAR = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"

DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

INDEXES = frozenset({INDEX, DOCKER_INDEX})
MANIFESTS = frozenset({INDEX, MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST})
"""The media types below ``manifests/`` of a registry."""

_LAYERS = {
    LAYER_TAR: LAYER_TAR,
    LAYER_GZIP: LAYER_GZIP,
    LAYER_ZSTD: LAYER_ZSTD,
    "application/vnd.docker.image.rootfs.diff.tar": LAYER_TAR,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": LAYER_GZIP,
    "application/vnd.docker.image.rootfs.diff.tar.zstd": LAYER_ZSTD,
}
# The specification also has sha512, which no known builder or registry uses.
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class DescriptorDocument(TypedDict):
    """A descriptor in a document."""

    mediaType: str
    digest: str
    size: int


class PlatformDocument(TypedDict, total=False):
    """The platform of an entry of an index."""

    os: str | None
    architecture: str | None


class EntryDocument(DescriptorDocument, total=False):
    """An entry of an index."""

    platform: PlatformDocument | None
    annotations: dict[str, str] | None


class IndexDocument(TypedDict, total=False):
    """An index: one image for several platforms, or the images of a layout."""

    manifests: list[EntryDocument] | None


class ManifestDocument(TypedDict, total=False):
    """The manifest of one image."""

    config: DescriptorDocument
    layers: list[DescriptorDocument] | None


class RootfsDocument(TypedDict, total=False):
    """The contents of an image's layers."""

    diff_ids: list[str] | None


class HistoryDocument(TypedDict, total=False):
    """An instruction that made an image."""

    created_by: str | None
    empty_layer: bool | None


class SettingsDocument(TypedDict, total=False):
    """The settings of an image's containers. Go writes null for those that are not set."""

    User: str | None
    ExposedPorts: dict[str, Any] | None
    Env: list[str] | None
    Entrypoint: str | list[str] | None
    Cmd: str | list[str] | None
    Volumes: dict[str, Any] | None
    WorkingDir: str | None
    Labels: dict[str, str] | None
    StopSignal: str | None
    Healthcheck: dict[str, Any] | None
    Shell: list[str] | None
    OnBuild: list[str] | None


class ConfigDocument(TypedDict, total=False):
    """The configuration of an image."""

    os: str | None
    architecture: str | None
    variant: str | None
    config: SettingsDocument | None
    rootfs: RootfsDocument | None
    history: list[HistoryDocument] | None


@dataclass(frozen=True)
class Descriptor:
    """A reference to content by its digest."""

    media_type: str
    digest: str
    """``sha256:<64 hexadecimal digits>``"""
    size: int
    """In bytes, as stored and sent: compressed, if the media type says so."""

    def as_json(self) -> dict[str, Any]:
        """Return the descriptor as manifests and indexes contain it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}

    @classmethod
    def from_json(cls, document: object) -> Descriptor:
        """Read a descriptor; other members than the three are ignored.

        :raises DocumentError: if it is not valid.
        """
        found = typed(document, DescriptorDocument)
        if not is_digest(found["digest"]):
            raise DocumentError(f"has {quoted(found['digest'])}, which is not a sha256 digest")
        if found["size"] < 0:
            raise DocumentError(f"has the size {found['size']}")
        return cls(found["mediaType"], found["digest"], found["size"])


@dataclass(frozen=True)
class Layer:
    """A layer of an image."""

    descriptor: Descriptor
    diff_id: str
    """The digest of the uncompressed tar, which the image's configuration lists."""
    created_by: str
    """The instruction that made it, for the image's history."""


@dataclass(frozen=True)
class BaseImage:
    """The image that a build starts from, for one platform.

    Its configuration is read. ``base.read.fetch_layers`` fetches its layers into the store.
    """

    reference: str
    """The name that the user gave."""
    digest: str
    """Of its manifest for the platform; in a docker-archive, of its configuration."""
    os: str
    architecture: str
    """The name in Go: ``amd64``, ``arm64``."""
    config: ConfigDocument
    """The whole configuration document: ``config``, ``history``, ``rootfs``, ..."""
    layers: tuple[Layer, ...]
    """From the lowest upwards, with OCI media types."""
    repository: str | None = None
    """``registry/path`` with the layers; None if the store has them all."""


def canonical_json(document: object) -> bytes:
    """Return the document with sorted keys and without white space: always the same bytes."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def sha256_digest(content: bytes) -> str:
    """Return the digest of the content, as descriptors write it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def is_digest(text: str) -> bool:
    """Return whether the text is a sha256 digest, the only accepted algorithm."""
    return _DIGEST.fullmatch(text) is not None


def layer_media_type(media_type: str) -> str:
    """Return the OCI media type of a layer, also for Docker's media type.

    :raises ValueError: for another media type, and for layers that must not be copied, such as
        the base layers of Windows.
    """
    try:
        return _LAYERS[media_type]
    except KeyError:
        raise ValueError(f"{quoted(media_type)} is not a layer that can be copied") from None
