"""The compression of layers: the settings, what imageinfo says, and independent readers."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.layered import compression
from bigflow_backend.image.layered.compression import find_compression
from bigflow_backend.image.oci import LAYER_GZIP, LAYER_ZSTD
from bigflow_backend.image.store import compressors
from bigflow_backend.image.store.compressors import fast_gzip
from bigflow_backend.project.settings import ImageSettings
from support.registry import installed

if TYPE_CHECKING:
    from pathlib import Path

    from support.layered import LayeredProject

_PUSHED = {"push": True, "export_tar": False}


@pytest.mark.parametrize(
    ("settings", "media_type"),
    [
        ({}, LAYER_GZIP),
        ({"push": True}, LAYER_GZIP),
        ({**_PUSHED}, LAYER_ZSTD),
        ({**_PUSHED, "load": True}, LAYER_ZSTD),
        ({"load": True, "export_tar": False}, LAYER_ZSTD),
        ({"load": True}, LAYER_GZIP),
        ({"export_tar": False}, LAYER_GZIP),
        ({**_PUSHED, "oci_layout": True}, LAYER_GZIP),
        ({**_PUSHED, "compression": "gzip"}, LAYER_GZIP),
        ({"compression": "zstd"}, LAYER_ZSTD),
    ],
)
def test_the_format(settings: dict[str, Any], media_type: str) -> None:
    found = find_compression(ImageSettings(**settings), lambda: "Docker Engine 23.0.1")
    assert found.media_type == media_type


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("Docker Engine 20.10.24+dfsg1", LAYER_GZIP),
        ("Docker Engine 23.0.0", LAYER_ZSTD),
        ("Docker Engine 29.1.0-rc.1", LAYER_ZSTD),
        ("Podman Engine 4.2.1", LAYER_GZIP),
        ("Podman Engine 4.3.1", LAYER_ZSTD),
        ("Podman Engine 5.0.0-dev", LAYER_ZSTD),
        ("another engine 99", LAYER_GZIP),
        ("Docker Engine dev", LAYER_GZIP),
    ],
)
def test_the_format_for_an_engine(name: str, media_type: str) -> None:
    settings = ImageSettings(load=True, export_tar=False)
    assert find_compression(settings, lambda: name).media_type == media_type
    zstd = ImageSettings(load=True, export_tar=False, compression="zstd")
    assert find_compression(zstd, lambda: name).media_type == LAYER_ZSTD


def _no_engine() -> str:
    raise AssertionError("no engine is needed")


def test_without_the_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zlib_ng.zlib_ng", None)
    for module in (compression, compressors):
        monkeypatch.setattr(module, "zstd_library", lambda: None)
    assert find_compression(ImageSettings(**_PUSHED), _no_engine).media_type == LAYER_GZIP  # type: ignore[arg-type]
    plain = fast_gzip()
    assert plain.description.startswith("gzip by zlib 1.")
    stream = plain.start()
    assert gzip.decompress(stream.compress(b"text" * 1000) + stream.flush()) == b"text" * 1000
    with pytest.raises(UserError, match='compression = "zstd" cannot be written') as caught:
        find_compression(ImageSettings(compression="zstd"), _no_engine)
    assert "gzip" in caught.value.hint


def test_an_image_with_each(layered_project: LayeredProject, tmp_path: Path) -> None:
    """The content of the layers is the same, and skopeo reads both."""
    skopeo = installed("skopeo", package="skopeo")
    contents = []
    for name, media_type in (("gzip", LAYER_GZIP), ("zstd", LAYER_ZSTD)):
        image = layered_project.build(compression=name)
        info = layered_project.info(image)
        assert info["compression"].startswith(f"{name} by ")
        contents.append([layer["digest"] for layer in info["layers"]])
        assert image.tar is not None
        with tarfile.open(image.tar) as archive:
            member = archive.extractfile(f"blobs/sha256/{image.digest[7:]}" if image.digest else "")
            assert member is not None
            manifest = json.load(member)
        assert {layer["mediaType"] for layer in manifest["layers"][1:]} == {media_type}
        target = f"oci:{tmp_path / name}:x"
        command = [skopeo, "copy", "--insecure-policy", f"oci-archive:{image.tar}", target]
        subprocess.run(command, check=True, capture_output=True)
    assert contents[0] == contents[1]
