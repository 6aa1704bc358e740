"""Bases with Python in /usr/local, as in the official images: each minor version here."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from docker import DockerClient

    from support.layered import LayeredProject

pytestmark = [pytest.mark.engine, pytest.mark.slow]

_LEFT_OUT = ("/__pycache__", "/test/", "/config-", "/site-packages/")
_PROGRAM = """\
import demo, importlib.metadata, importlib.util, json, os, pathlib, subprocess, sys
print(json.dumps({
    "python": sys.version,
    "demo": importlib.metadata.version("demo"),
    "compiled": [os.path.exists(m.__cached__) for m in (demo, json, subprocess)],
    "magic": pathlib.Path(demo.__cached__).read_bytes()[:4] == importlib.util.MAGIC_NUMBER,
}))
"""


def _homes() -> dict[str, Path]:
    """Return the directories of pyenv's Pythons and of the Python that runs the tests."""
    homes = {".".join(platform.python_version_tuple()[:2]): Path(sys.base_prefix)}
    for home in sorted(Path.home().glob(".pyenv/versions/3.1[0-9]*")):
        minor = ".".join(home.name.split(".")[:2])
        if (home / "bin" / f"python{minor}").is_file():
            homes[minor] = home
    return homes


def _write_base(path: Path, minor: str, home: Path, base_archive: str) -> str:
    """Write Debian's files, and a layer with the Python in /usr/local."""
    with tarfile.open(base_archive.removeprefix("docker-archive:")) as archive:
        members = {
            member.name: file.read() for member in archive if (file := archive.extractfile(member))
        }
    layer = _layer(minor, home)
    config = json.loads(members["config.json"])
    config["rootfs"]["diff_ids"].append(f"sha256:{hashlib.sha256(layer).hexdigest()}")
    config["history"].append({"created_by": "a Python"})
    (manifest,) = json.loads(members["manifest.json"])
    manifest["Layers"].append("python.tar")
    members |= {
        "config.json": json.dumps(config).encode(),
        "manifest.json": json.dumps([manifest]).encode(),
        "python.tar": layer,
    }
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return f"docker-archive:{path}"


def _layer(minor: str, home: Path) -> bytes:
    def as_roots(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if any(part in f"/{member.name}" for part in _LEFT_OUT):
            return None
        member.uid = member.gid = member.mtime = 0
        member.uname = member.gname = ""
        return member

    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
        python = os.path.realpath(home / "bin" / f"python{minor}")
        archive.add(python, f"usr/local/bin/python{minor}", filter=as_roots)
        for path in (home / "lib").glob(f"libpython{minor}.so*"):
            archive.add(path, f"usr/local/lib/{path.name}", filter=as_roots)
        archive.add(
            home / "lib" / f"python{minor}", f"usr/local/lib/python{minor}", filter=as_roots
        )
        for name in ("python", "python3"):
            link = tarfile.TarInfo(f"usr/local/bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, f"python{minor}"
            archive.addfile(link)
    return output.getvalue()


@pytest.mark.parametrize("minor", sorted(_homes()))
def test_a_base_with_that_python(
    minor: str,
    layered_project: LayeredProject,
    base_archive: str,
    bigflow_wheels: Path,
    engine: DockerClient,
) -> None:
    archive = layered_project.root.parent / "with-python.tar"
    base = _write_base(archive, minor, _homes()[minor], base_archive)
    image = layered_project.build(
        base_image=base, find_links=(bigflow_wheels,), repository="bigflow-test/python", load=True
    )
    try:
        assert any(line.endswith("compiles, in a sandbox") for line in layered_project.said)
        # Without ldconfig, the loader needs the path of libpython.
        found = engine.containers.run(
            image.tag,
            ["python", "-c", _PROGRAM],
            environment={"LD_LIBRARY_PATH": "/usr/local/lib"},
            network_mode="none",
            remove=True,
        )
        output = json.loads(found)
        assert output.pop("python").startswith(f"{minor}.")
        assert output == {"demo": "1.0.0", "compiled": [True, True, True], "magic": True}
    finally:
        engine.images.remove(image.tag, force=True)
