"""A base image of a few files, for what asks a base image only what it is."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["layer_tar", "small_base", "write_docker_archive"]

_LIBC = b"GNU C Library (Debian GLIBC %s-9) stable release version %s.\n"


def small_base(
    path: Path,
    *,
    version: str = "3.11.2",
    glibc: str = "2.36",
    files: Mapping[str, str] | None = None,
    **config: Any,
) -> str:
    """Writes a docker-archive to ``path``; returns the name by which it is taken as a base.

    Its Python lies in /usr/local, as in the official images, and does not run.
    """
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
    links = {"usr/local/bin/python3": f"python{minor}"}
    write_docker_archive(path, [layer_tar(contents, links)], config)
    return f"docker-archive:{path}"


def layer_tar(files: Mapping[str, bytes | str], links: Mapping[str, str] | None = None) -> bytes:
    """A layer with files and symbolic links, and no directories of its own."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return output.getvalue()


def write_docker_archive(
    path: Path,
    layers: Sequence[bytes],
    config: Mapping[str, Any],
    *,
    architecture: str = "amd64",
) -> None:
    """What ``docker save`` would write of an image for Linux."""
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
    members = {name: image} | {
        f"{digest}/layer.tar": layer for digest, layer in zip(digests, layers, strict=True)
    }
    manifest = {
        "Config": name,
        "RepoTags": ["small:1"],
        "Layers": [f"{d}/layer.tar" for d in digests],
    }
    members["manifest.json"] = json.dumps([manifest]).encode()
    with tarfile.open(path, "w") as archive:
        for member_name, content in members.items():
            member = tarfile.TarInfo(member_name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
