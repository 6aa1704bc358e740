"""Large layers pass through memory in pieces."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from support.images import small_base
from support.layered import LayeredProject, layered_project
from support.registry import Registry, registry

__all__ = ["layered_project", "registry"]

pytestmark = pytest.mark.slow

_MEGABYTE = 10**6
_BOUND = 200 * _MEGABYTE
# `VmHWM` is of this process; `ru_maxrss` may be that of the process that started it.
# https://man7.org/linux/man-pages/man5/proc_pid_status.5.html
_BUILD = """\
import json, sys
from pathlib import Path
from bigflow_backend.project.settings import ImageSettings
from support.builds import build_image
from bigflow_backend.project.project import read_project
from bigflow_backend.version import ProjectVersion

given = json.loads(sys.argv[1])
image = build_image(
    read_project(Path(given["root"])),
    Path(given["wheel"]),
    repository=given["repository"],
    version=ProjectVersion(text="1.0.0", source="the test", commit="c0ffee"),
    settings=ImageSettings(
        builder="layered", base_image=given["base"], find_links=(given["wheels"],),
        platforms=("linux/amd64",), oci_layout=True, push=True,
    ),
    say=print,
)
status = Path("/proc/self/status").read_text()
print(json.dumps({"peak": int(status.partition("VmHWM:")[2].split()[0]) * 1024}))
"""


def test_layers_of_hundreds_of_megabytes_stay_out_of_memory(
    layered_project: LayeredProject, tmp_path: Path, registry: Registry
) -> None:
    base = small_base(tmp_path / "large.tar", files={"opt/data": "0123456789abcdef" * 16_000_000})
    _large_wheel(layered_project.wheels, "heavy", noise=160, text=250, script=160)
    wheel = _large_wheel(layered_project.root / "dist", "demo", noise=160, text=50, script=0)
    layered_project.require("heavy")
    large = {"root": layered_project.root, "wheels": layered_project.wheels, "wheel": wheel}

    first = _build(**large, base=base, repository=f"{registry.address}/large")
    # Now the base comes from the registry, and its layers are fetched.
    again = _build(
        **large,
        base=f"{registry.address}/large:1.0.0",
        repository=f"{registry.address}/larger",
        cache=tmp_path / "empty",
    )

    image = layered_project.root / ".image" / "image-1.0.0.tar"
    assert image.stat().st_size > 300 * _MEGABYTE
    assert max(first, again) < _BOUND


def _build(*, cache: Path | None = None, **given: object) -> int:
    """Build in a process of its own; return its largest resident size in bytes."""
    own = {} if cache is None else {"BIGFLOW_CACHE": str(cache)}
    arguments = {name: str(value) for name, value in given.items()}
    done = subprocess.run(
        [sys.executable, "-c", _BUILD, json.dumps(arguments)],
        env={**os.environ, **own, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    peak = json.loads(done.stdout.splitlines()[-1])["peak"]
    assert isinstance(peak, int)
    return peak


def _large_wheel(directory: Path, name: str, *, noise: int, text: int, script: int) -> Path:
    """Write a wheel with a file that cannot be compressed and two that can; sizes in MB."""
    directory.mkdir(parents=True, exist_ok=True)
    info, data = f"{name}-1.0.0.dist-info", f"{name}-1.0.0.data"
    path = directory / f"{name}-1.0.0-py3-none-any.whl"
    source = random.Random(name)
    small = {
        f"{name}/__init__.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for member, content in small.items():
            archive.writestr(member, content)
        with archive.open(zipfile.ZipInfo(f"{name}/resources/noise"), "w") as file:
            for _ in range(noise):
                file.write(source.randbytes(_MEGABYTE))
        for member, megabytes in ((f"{name}/text", text), (f"{data}/scripts/{name}", script)):
            with archive.open(member, "w", force_zip64=True) as file:
                for _ in range(megabytes):
                    file.write(b"#!python\n" + b"a line of text\n" * (_MEGABYTE // 15))
        names = [*archive.namelist(), f"{info}/RECORD"]
        archive.writestr(names[-1], "".join(f"{member},,\n" for member in names))
    return path
