"""Unusual base images: zstd, whiteouts, links to directories, other machines and C libraries."""

from __future__ import annotations

import io
import platform
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import UserError
from support.distribution import make_wheel
from support.images import layer_tar, small_base, write_docker_archive
from support.registry import installed

if TYPE_CHECKING:
    from pathlib import Path

    from support.layered import LayeredProject

_MINOR = ".".join(platform.python_version_tuple()[:2])
_GLIBC = b"GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n"


def _python(version: str = platform.python_version()) -> bytes:
    return b"\x7fELF\0" + version.encode() + b"\0"


def _links(links: dict[str, str], files: dict[str, bytes]) -> bytes:
    """Return a layer whose links come before the files in the linked directories."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for name, target in links.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return output.getvalue()


def test_zstd(layered_project: LayeredProject, tmp_path: Path) -> None:
    """Layers that skopeo has compressed with zstd, in an OCI layout and in an archive of one."""
    skopeo = installed("skopeo", package="skopeo")
    small_base(tmp_path / "plain.tar", version=platform.python_version())
    for target in ("oci:packed:1", "oci-archive:packed.tar:1"):
        subprocess.run(
            [
                skopeo, "--insecure-policy", "copy", "--quiet", "--dest-compress-format", "zstd",
                "--dest-compress", "docker-archive:plain.tar", target,
            ],
            cwd=tmp_path,
            check=True,
        )  # fmt: skip
    expected = layered_project.files(layered_project.build()).config["rootfs"]
    for base in (f"oci:{tmp_path}/packed:1", f"oci-archive:{tmp_path}/packed.tar:1"):
        image = layered_project.build(base_image=base, oci_layout=True, export_tar=False)
        assert image.layout is not None
        # The base's layers are used as they are; our layers do not depend on their compression.
        layers = [
            layer["digest"].removeprefix("sha256:")
            for layer in layered_project.info(image)["layers"]
        ]
        assert [f"sha256:{digest}" for digest in layers] == expected["diff_ids"]
        shutil.rmtree(tmp_path / "cache")


def test_zstd_without_a_library(
    layered_project: LayeredProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bigflow_backend.image.store.compressors._MODULES", ("no_such_module",))
    zstd = installed("zstd", package="zstd")
    layer = subprocess.run(
        [zstd, "-c"], input=layer_tar({"a": "a"}), capture_output=True, check=True
    )
    write_docker_archive(tmp_path / "zstd.tar", [layer.stdout], {})
    with pytest.raises(UserError, match="has layers compressed with zstd") as caught:
        layered_project.build(base_image=f"docker-archive:{tmp_path}/zstd.tar")
    assert "pip install 'bigflow-backend[build]'" in caught.value.hint


def test_a_layer_that_is_not_valid_zstd(layered_project: LayeredProject, tmp_path: Path) -> None:
    write_docker_archive(tmp_path / "zstd.tar", [b"\x28\xb5\x2f\xfd" + b"x" * 100], {})
    with pytest.raises(UserError, match="is damaged: cannot unpack a layer"):
        layered_project.build(base_image=f"docker-archive:{tmp_path}/zstd.tar")


def test_merged_directories_and_whiteouts(layered_project: LayeredProject, tmp_path: Path) -> None:
    """/lib is a link; a later layer replaces the Python and removes a package."""
    site = f"usr/lib/python{_MINOR}/site-packages"
    first = _links(
        {"lib": "usr/lib", "bin": "usr/bin", "usr/bin/python3": f"python{_MINOR}"},
        {
            "usr/lib/x86_64-linux-gnu/libc.so.6": _GLIBC,
            f"usr/bin/python{_MINOR}": _python(f"{_MINOR}.0"),
            f"usr/lib/python{_MINOR}/os.py": b"name = 'posix'\n",
            f"{site}/gone-1.0.dist-info/METADATA": b"Name: gone\nVersion: 1.0\n",
            f"{site}/kept-1.0.dist-info/METADATA": b"Name: kept\nVersion: 1.0\n",
            "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n",
            "etc/group": b"root:x:0:\n",
        },
    )
    second = layer_tar(
        {
            f"usr/bin/python{_MINOR}": _python(),
            f"{site}/.wh.gone-1.0.dist-info": b"",
        }
    )
    write_docker_archive(tmp_path / "merged.tar", [first, second], {})
    layered_project.require("gone", "kept")
    for name in ("gone", "kept"):
        make_wheel(layered_project.wheels, name, "1.0", {f"{name}.py": ""})
    image = layered_project.build(base_image=f"docker-archive:{tmp_path}/merged.tar")
    files = layered_project.files(image).files
    config = files["app/pyvenv.cfg"].content or b""
    assert f"version = {platform.python_version()}".encode() in config
    # The removed package is installed; the other one is kept.
    assert layered_project.info(image)["dependencies"] == ["bigflow-backend==0.1.0", "gone==1.0"]
    assert any(name.startswith(f"usr/lib/python{_MINOR}/__pycache__/os.") for name in files)


@pytest.mark.parametrize(("machine", "architecture"), [("x86_64", "amd64"), ("aarch64", "arm64")])
@pytest.mark.parametrize("library", ["musl", "glibc"])
def test_another_machine_and_another_c_library(
    layered_project: LayeredProject,
    tmp_path: Path,
    library: str,
    machine: str,
    architecture: str,
) -> None:
    """Of four wheels the one for the base is installed, whatever machine this is."""
    files: dict[str, bytes | str] = {
        f"usr/local/bin/python{_MINOR}": _python(),
        f"usr/local/lib/python{_MINOR}/os.py": "name = 'posix'\n",
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
        "etc/group": "root:x:0:\n",
    }
    if library == "musl":
        files[f"lib/ld-musl-{machine}.so.1"] = b"\x7fELF\0" + b"1.2.5\0"
    else:
        files[f"lib/{machine}-linux-gnu/libc.so.6"] = _GLIBC
    layer = layer_tar(files, {"usr/local/bin/python3": f"python{_MINOR}"})
    write_docker_archive(tmp_path / "base.tar", [layer], {}, architecture=architecture)
    tag = f"cp{_MINOR.replace('.', '')}"
    for system in ("manylinux_2_17", "musllinux_1_2"):
        for kind in ("x86_64", "aarch64"):
            make_wheel(
                layered_project.wheels, "native", "1.0",
                {"native.py": f"BUILT_FOR = '{system}_{kind}'\n"},
                tag=f"{tag}-{tag}-{system}_{kind}",
            )  # fmt: skip
    # Markers are about the image's machine as well.
    make_wheel(layered_project.wheels, "only-there", "1.0", {"only_there.py": ""})
    layered_project.require(
        "native",
        f'only-there; platform_machine == "{machine}"',
        f'never-here; platform_machine != "{machine}"',
    )
    image = layered_project.build(
        base_image=f"docker-archive:{tmp_path}/base.tar", platforms=(f"linux/{architecture}",)
    )
    found = layered_project.files(image)
    module = found.files[f"app/lib/python{_MINOR}/site-packages/native.py"]
    system = "musllinux_1_2" if library == "musl" else "manylinux_2_17"
    assert module.content == f"BUILT_FOR = '{system}_{machine}'\n".encode()
    assert found.config["architecture"] == architecture
    assert "only-there==1.0" in layered_project.info(image)["dependencies"]
