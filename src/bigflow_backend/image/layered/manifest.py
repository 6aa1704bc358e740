"""The configuration and the manifest of an image, as canonical JSON.

https://github.com/opencontainers/image-spec/blob/main/config.md
https://github.com/opencontainers/image-spec/blob/main/manifest.md
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bigflow_backend.image.image import StoredImage
from bigflow_backend.image.layered.base_layer import HOME, USER
from bigflow_backend.image.layered.python.interpreter import search_path
from bigflow_backend.image.layered.venv import APP
from bigflow_backend.image.oci import CONFIG, INDEX, MANIFEST, canonical_json

if TYPE_CHECKING:
    from bigflow_backend.image.image import Image
    from bigflow_backend.image.oci import BaseImage, ConfigDocument, Descriptor, Layer
    from bigflow_backend.image.store.blobs import BlobStore

# The settings that an image inherits; Docker's configurations also have a container's state.
_INHERITED = (
    "User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels",
    "StopSignal", "Healthcheck", "Shell",
)  # fmt: skip
_COMMAND = ["python", "-m", "bigflow", "--help"]


def assemble(
    store: BlobStore,
    base: BaseImage,
    layers: Sequence[Layer],
    *,
    labels: Mapping[str, str],
    created: str,
    annotations: Mapping[str, str],
) -> StoredImage:
    """Put ``layers`` over those of the base; ``created`` is a time in the form of RFC 3339.

    ``annotations`` are those of the manifest.
    """
    together = (*base.layers, *layers)
    document = {
        "architecture": base.architecture,
        "os": base.os,
        "created": created,
        "config": _config(base.config, labels),
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in together]},
        "history": [
            *_history(base),
            *({"created": created, "created_by": layer.created_by} for layer in layers),
        ],
    }
    if variant := base.config.get("variant"):
        document["variant"] = variant
    config = store.add(canonical_json(document), CONFIG)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.as_json(),
        "layers": [layer.descriptor.as_json() for layer in together],
        "annotations": dict(annotations),
    }
    return StoredImage(store.add(canonical_json(manifest), MANIFEST), config, together, base)


def index_of(store: BlobStore, images: Mapping[str, Image]) -> Descriptor:
    """Put the index of images, by their platforms, into the store; return its descriptor.

    It has the annotations that all of their manifests have.

    https://github.com/opencontainers/image-spec/blob/main/image-index.md
    """
    contents = [image.content for _platform, image in sorted(images.items())]
    stored = [content for content in contents if isinstance(content, StoredImage)]
    annotations = [json.loads(store.read(x.manifest.digest))["annotations"] for x in stored]
    common = {k: v for k, v in annotations[0].items() if all(a.get(k) == v for a in annotations)}
    index = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [x.manifest.as_json() | {"platform": _platform(x.base)} for x in stored],
        "annotations": common,
    }
    return store.add(canonical_json(index), INDEX)


def _platform(base: BaseImage) -> dict[str, str]:
    found = {"os": base.os, "architecture": base.architecture}
    variant = base.config.get("variant")
    return found | {"variant": variant} if variant else found


def _config(base: ConfigDocument, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return the base's settings with those of the standard Dockerfile's last stage over them."""
    given: Mapping[str, Any] = base.get("config") or {}
    config = {key: given[key] for key in _INHERITED if given.get(key)}
    variables = {
        "PATH": f"/{APP}/bin:{search_path(base)}",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment = dict(v.partition("=")[::2] for v in config.get("Env", [])) | variables
    return config | {
        "Env": [f"{name}={value}" for name, value in environment.items()],
        "User": f"{USER}:{USER}",
        "WorkingDir": f"/{HOME}",
        "Cmd": _COMMAND,
        "Labels": {**config.get("Labels", {}), **labels},
    }


def _history(base: BaseImage) -> Sequence[Mapping[str, Any]]:
    """Return the base's history, which must have an entry for each layer."""
    history = base.config.get("history") or []
    if sum(not entry.get("empty_layer") for entry in history) == len(base.layers):
        return history
    return [{"created_by": layer.created_by} for layer in base.layers]
