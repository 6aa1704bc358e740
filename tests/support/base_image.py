"""A base image with Python and pip, made in seconds from this machine's Debian packages.

It replaces ``python:3.12-slim-bookworm`` where no registry can be reached. It is made as an archive
or in an engine. As a script, this module makes it in the engine with the given tag:
``PYTHONPATH=tests python -m support.base_image TAG``.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import stat
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import docker
from docker.errors import ImageNotFound

from support.debian import (
    DebianError,
    architecture,
    dependency_closure,
    files_of,
    install,
    installed,
)

if TYPE_CHECKING:
    from docker import DockerClient

__all__ = ["make_base_image", "write_base_archive"]

_PACKAGES = (
    "base-files", "base-passwd", "bash", "ca-certificates", "coreutils", "dash", "findutils",
    "grep", "libc-bin", "libstdc++6", "netbase", "python3", "python3-pip", "sed", "tar", "tzdata",
)  # fmt: skip
# Only the packages' scripts need perl and the packaging tools, not their programs.
_NOT_NEEDED = {"debconf", "dpkg", "perl-base"}
_SKIPPED = re.compile(
    r"/usr/share/(doc|info|locale|man|lintian|bug|icons|applications|pixmaps)(/|$)"
    r"|/tests?/|/__pycache__(/|$)"
)
# In Debian 12 these are links into /usr, and its packages still have files below both.
_MERGED = ("bin", "lib", "lib64", "sbin")
_CA_BUNDLE = "etc/ssl/certs/ca-certificates.crt"
_CA_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
# pip reaches its indexes in the image as on this machine.
_PASSED_ON = ("PIP_INDEX_URL", "PIP_DEFAULT_TIMEOUT")
# The label identifies an image: engines differ in their ids.
_RECIPE = "bigflow.test.recipe"


def make_base_image(client: DockerClient, tag: str) -> str:
    """Load the image ``tag`` into the engine; return its id.

    :raises DebianError: if this is not Debian, or a missing package cannot be installed.
    """
    with tempfile.NamedTemporaryFile() as archive:
        recipe = write_base_archive(Path(archive.name), tag)
        if _recipe_of(client, tag) != recipe:
            client.images.load(archive)
    return str(client.images.get(tag).id)


def write_base_archive(path: Path, tag: str) -> str:
    """Write the image as a docker-archive to ``path``; return the value of its label.

    It has Debian's Python 3 with pip, a shell and the usual small tools, and the certificate
    authorities that pip trusts on this machine. One machine always gives the same bytes.

    :raises DebianError: if this is not Debian, or a missing package cannot be installed.
    """
    if missing := sorted({"ca-certificates", "python3", "python3-pip"} - set(installed())):
        install(*missing)
    with tempfile.TemporaryFile() as layer:
        _write_root_file_system(layer)
        config = _config(_digest(layer))
        recipe = hashlib.sha256(json.dumps(config).encode()).hexdigest()
        config["config"]["Labels"] = {_RECIPE: recipe}
        manifest = {"Config": "config.json", "RepoTags": [tag], "Layers": ["layer.tar"]}
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
            for name, content in (
                ("manifest.json", json.dumps([manifest]).encode()),
                ("config.json", json.dumps(config).encode()),
            ):
                archive.addfile(_file(name, len(content)), io.BytesIO(content))
            size = layer.seek(0, io.SEEK_END)
            layer.seek(0)
            archive.addfile(_file("layer.tar", size), layer)
    return recipe


def _digest(file: IO[bytes]) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while block := file.read(2**20):
        digest.update(block)
    return digest.hexdigest()


def _recipe_of(client: DockerClient, tag: str) -> str | None:
    try:
        return client.images.get(tag).labels.get(_RECIPE)
    except ImageNotFound:
        return None


def _config(layer: str) -> dict[str, Any]:
    """https://github.com/opencontainers/image-spec/blob/main/config.md"""
    variables = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        **dict.fromkeys(_CA_VARIABLES, f"/{_CA_BUNDLE}"),
        # pip may install outside of an environment, as in Python's official images (PEP 668).
        "PIP_BREAK_SYSTEM_PACKAGES": "1",
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
    }
    return {
        "architecture": architecture(),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "Env": [f"{name}={value}" for name, value in variables.items()],
            "Cmd": ["python3"],
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "Debian's packages"}],
    }


def _write_root_file_system(output: IO[bytes]) -> None:
    packages = set(dependency_closure(*_PACKAGES)) - _NOT_NEEDED
    paths = (p for p in files_of(*packages) if not _SKIPPED.search(p))
    sources = {name: Path(path) for path in paths if (name := _merged(path))}
    sources |= {f"etc/{n}": Path(f"/usr/share/base-passwd/{n}.master") for n in ("group", "passwd")}
    sources[_CA_BUNDLE] = _ca_bundle()
    own = [_directory(name, 0o755) for name in ("dev", "proc", "root", "run", "sys")]
    own += [_directory("tmp", 0o1777), _link("usr/bin/python", "python3")]
    own += [_link(name, f"usr/{name}") for name in _MERGED]
    with tarfile.open(fileobj=output, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for member in own:
            archive.addfile(member)
        for name in sorted(sources.keys() - {member.name for member in own}):
            _add(archive, sources[name], name)


def _merged(path: str) -> str:
    """Return the name in the archive: ``/bin/sh`` -> ``usr/bin/sh``; empty for the root."""
    name = "" if path == "/." else path.strip("/")
    head, _, rest = name.partition("/")
    return f"usr/{name}" if head in _MERGED and rest else name


def _ca_bundle() -> Path:
    named = (os.environ.get(name) for name in _CA_VARIABLES)
    bundle = next((Path(p) for p in named if p and Path(p).is_file()), Path("/") / _CA_BUNDLE)
    return bundle.resolve()


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    """Add a file, link or directory that belongs to root, without its time."""
    with contextlib.suppress(FileNotFoundError):  # somebody has removed it
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            archive.addfile(_link(name, str(path.readlink())))
        elif stat.S_ISDIR(mode):
            archive.addfile(_directory(name, stat.S_IMODE(mode)))
        elif stat.S_ISREG(mode):
            member = tarfile.TarInfo(name)
            member.mode, member.size = stat.S_IMODE(mode), path.stat().st_size
            with path.open("rb") as content:
                archive.addfile(member, content)


def _file(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.mode, member.size = 0o644, size
    return member


def _directory(name: str, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode = tarfile.DIRTYPE, mode
    return member


def _link(name: str, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = tarfile.SYMTYPE, target, 0o777
    return member


def main(tag: str) -> int:
    with contextlib.closing(docker.from_env()) as client:
        try:
            print(make_base_image(client, tag))
        except DebianError as error:
            print(f"no base image: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
