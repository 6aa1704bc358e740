"""The nouns of image formats, as the OCI image specification names them.

https://github.com/opencontainers/image-spec ; Docker's schema 2 differs in media types alone:
https://github.com/distribution/distribution/blob/main/docs/content/spec/manifest-v2-2.md
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER_TAR = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"

DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

INDEXES = frozenset({INDEX, DOCKER_INDEX})
MANIFESTS = frozenset({INDEX, MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST})
"""What a registry has under ``manifests/``."""

_LAYERS = {
    LAYER_TAR: LAYER_TAR,
    LAYER_GZIP: LAYER_GZIP,
    LAYER_ZSTD: LAYER_ZSTD,
    "application/vnd.docker.image.rootfs.diff.tar": LAYER_TAR,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": LAYER_GZIP,
    "application/vnd.docker.image.rootfs.diff.tar.zstd": LAYER_ZSTD,
}
# The specification also registers sha512; no builder or registry is known to use it.
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Descriptor:
    """Content by its digest."""

    media_type: str
    digest: str
    """``sha256:<64 hexadecimal digits>``"""
    size: int
    """In bytes, as stored and sent: compressed, where the media type says so."""

    def as_json(self) -> dict[str, Any]:
        """The descriptor as manifests and indexes hold it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}

    @classmethod
    def from_json(cls, document: object) -> Descriptor:
        """Reads a descriptor; members beside the three are left out.

        :raises ValueError: when it is none.
        """
        match document:
            case {"mediaType": str(media_type), "digest": str(digest), "size": int(size)} if (
                is_digest(digest) and size >= 0
            ):
                return cls(media_type, digest, size)
        raise ValueError(f"{document!r} is no descriptor of content by its sha256 digest")


@dataclass(frozen=True)
class Layer:
    """A layer of an image."""

    descriptor: Descriptor
    diff_id: str
    """The digest of the uncompressed tar, which the image's configuration lists."""
    created_by: str
    """What made it, for the image's history."""


@dataclass(frozen=True)
class BaseImage:
    """The image that a build starts from, for one platform.

    Its configuration is read; its layers need not be here yet: see ``bases.fetch_layers``.
    """

    reference: str
    """As the user named it."""
    digest: str
    """Of its manifest for the platform; a docker-archive has none: of its configuration."""
    os: str
    architecture: str
    """As Go names it: ``amd64``, ``arm64``."""
    config: Mapping[str, Any]
    """The whole configuration document: ``config``, ``history``, ``rootfs``, ..."""
    layers: tuple[Layer, ...]
    """From the lowest upwards, with OCI media types."""
    repository: str | None = None
    """``registry/path`` that has the layers; None when they all came into the store."""


def canonical_json(document: object) -> bytes:
    """The document with sorted keys and without white space: the same bytes each time."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def sha256_digest(content: bytes) -> str:
    """The digest of the content, as descriptors write it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def is_digest(text: str) -> bool:
    """Whether the text is a digest of the one algorithm that is taken, sha256."""
    return _DIGEST.fullmatch(text) is not None


def layer_media_type(media_type: str) -> str:
    """OCI's name for a kind of layer, which may bear Docker's name for it.

    :raises ValueError: for one that is no layer, or that may not be passed on (Windows' base
        layers, say, which stay at their vendor's).
    """
    try:
        return _LAYERS[media_type]
    except KeyError:
        raise ValueError(f"{media_type} is not a kind of layer that can be copied") from None
