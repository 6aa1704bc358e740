"""Small images for tests: layers, archives and manifests are made, and archives are read."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from bigflow_backend.image.oci import (
    CONFIG,
    INDEX,
    LAYER_GZIP,
    MANIFEST,
    Descriptor,
    canonical_json,
    sha256_digest,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bigflow_backend.image.store.blobs import BlobStore

__all__ = [
    "File",
    "ImageFiles",
    "layer_tar",
    "make_image",
    "make_index",
    "read_image",
    "small_base",
    "small_files",
    "small_index",
    "write_docker_archive",
]

_LIBC = b"GNU C Library (Debian GLIBC %s-9) stable release version %s.\n"


def layer_tar(files: Mapping[str, bytes | str], links: Mapping[str, str] | None = None) -> bytes:
    """Return a layer with files and symbolic links, and without entries for directories."""
    members = {
        name: text.encode() if isinstance(text, str) else text for name, text in files.items()
    }
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        _add(archive, members)
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return output.getvalue()


def _add(archive: tarfile.TarFile, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))


def small_base(
    path: Path,
    *,
    version: str = "3.11.2",
    glibc: str = "2.36",
    files: Mapping[str, str] | None = None,
    **config: Any,
) -> str:
    """Write a base image of a few files to ``path``; return its name for ``--base-image``.

    Its Python is in /usr/local, as in the official images, and does not run.
    """
    contents, links = small_files(version, glibc, files)
    write_docker_archive(path, [layer_tar(contents, links)], config)
    return f"docker-archive:{path}"


def small_index(
    store: BlobStore,
    *architectures: str,
    version: str,
    files: Mapping[str, str] | None = None,
) -> Descriptor:
    """Put an index of small base images into the store; return its descriptor."""
    images = []
    for name in architectures:
        own = {**(files or {}), "etc/architecture": name}
        contents, links = small_files(version, files=own)
        layer = layer_tar(contents, links)
        image = make_image(store, layer, architecture=name, config_changes={"config": {}})
        images.append((image, name))
    return make_index(store, images)


def small_files(
    version: str, glibc: str = "2.36", files: Mapping[str, str] | None = None
) -> tuple[dict[str, bytes | str], dict[str, str]]:
    """Return the files and the links of a small base image."""
    minor = version.rpartition(".")[0]
    contents: dict[str, bytes | str] = {
        f"usr/local/bin/python{minor}": b"\x7fELF\0" + version.encode() + b"\0",
        "lib/x86_64-linux-gnu/libc.so.6": _LIBC % (glibc.encode(), glibc.encode()),
        f"usr/local/lib/python{minor}/os.py": "name = 'posix'\n",
        f"usr/local/lib/python{minor}/test/__init__.py": "",
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
        "etc/group": "root:x:0:\n",
        **(files or {}),
    }
    return contents, {"usr/local/bin/python3": f"python{minor}"}


def write_docker_archive(
    path: Path,
    layers: Sequence[bytes],
    config: Mapping[str, Any],
    *,
    architecture: str = "amd64",
) -> None:
    """Write an image for Linux in the form of ``docker save``."""
    digests = [hashlib.sha256(layer).hexdigest() for layer in layers]
    document = {
        "architecture": architecture,
        "os": "linux",
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{d}" for d in digests]},
        "history": [{"created_by": "small"} for _ in layers],
    }
    image = json.dumps(document).encode()
    name = f"{hashlib.sha256(image).hexdigest()}.json"
    manifest = {
        "Config": name,
        "RepoTags": ["small:1"],
        "Layers": [f"{d}/layer.tar" for d in digests],
    }
    with tarfile.open(path, "w") as archive:
        _add(archive, {name: image})
        _add(archive, {f"{d}/layer.tar": layer for d, layer in zip(digests, layers, strict=True)})
        _add(archive, {"manifest.json": json.dumps([manifest]).encode()})


def make_image(
    store: BlobStore,
    *layers: bytes,
    architecture: str = "amd64",
    layer_type: str = LAYER_GZIP,
    manifest_type: str = MANIFEST,
    config_changes: Mapping[str, Any] | None = None,
) -> Descriptor:
    """Put an image with these layers into the store; return the descriptor of its manifest."""
    layers = layers or (layer_tar({"hello.txt": b"hello"}),)
    config = {
        "os": "linux",
        "architecture": architecture,
        "config": {"Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [sha256_digest(tar) for tar in layers]},
        "history": [
            *({"created_by": f"COPY {number}"} for number in range(len(layers))),
            {"created_by": "ENV", "empty_layer": True},
        ],
        **(config_changes or {}),
    }
    document = {
        "schemaVersion": 2,
        "mediaType": manifest_type,
        "config": store.add(canonical_json(config), CONFIG).as_json(),
        "layers": [
            store.add(gzip.compress(tar, compresslevel=1, mtime=0), layer_type).as_json()
            for tar in layers
        ],
    }
    return store.add(canonical_json(document), manifest_type)


def make_index(
    store: BlobStore, images: Sequence[tuple[Descriptor, str]], *, media_type: str = INDEX
) -> Descriptor:
    """Put an index of images, each with its architecture, into the store."""
    manifests = [
        {**image.as_json(), "platform": {"os": "linux", "architecture": architecture}}
        for image, architecture in images
    ]
    document = {"schemaVersion": 2, "mediaType": media_type, "manifests": manifests}
    return store.add(canonical_json(document), media_type)


@dataclass(frozen=True)
class File:
    """A file of an image, without its time."""

    kind: bytes
    mode: int
    owner: tuple[int, int]
    target: str
    content: bytes | None


@dataclass(frozen=True)
class ImageFiles:
    """An image: its configuration, and its files by their paths."""

    config: dict[str, Any]
    files: dict[str, File]
    layers: list[list[str]]
    """The names in each layer."""

    def below(self, directory: str) -> dict[str, File]:
        """Return the directory and all files below it."""
        return {
            name: file
            for name, file in self.files.items()
            if name == directory or name.startswith(f"{directory}/")
        }


def read_image(path: Path) -> ImageFiles:
    """Read a docker-archive whose layers remove no files, as those of our builders."""
    files: dict[str, File] = {}
    layers = []
    with tarfile.open(path) as archive:

        def opened(name: str) -> IO[bytes]:
            found = archive.extractfile(name)
            assert found is not None
            return found

        manifest = json.load(opened("manifest.json"))[0]
        config = json.load(opened(manifest["Config"]))
        for name in manifest["Layers"]:
            with tarfile.open(fileobj=opened(name)) as layer:
                names = []
                for member in layer:
                    data = layer.extractfile(member) if member.isreg() else None
                    inside = member.name.removeprefix("./").strip("/")
                    names.append(inside)
                    files[inside] = File(
                        kind=member.type,
                        mode=member.mode & 0o7777,
                        owner=(member.uid, member.gid),
                        target=member.linkname,
                        content=None if data is None else data.read(),
                    )
                layers.append(names)
    return ImageFiles(config, files, layers)
