"""The layered builder on a base of a few files: layers, the cache, reproducibility, refusals."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.dockerfile import STANDARD
from bigflow_backend.image.layered.base_layer import USER
from support.images import small_base
from support.layered import make_sdist

if TYPE_CHECKING:
    from support.layered import LayeredProject

_MINOR = ".".join(platform.python_version_tuple()[:2])
_TAG = f"cpython-{_MINOR.replace('.', '')}"
_TESTS = Path(__file__).parents[2]
_BUILD = """\
import pathlib, sys
from support.layered import LayeredProject
project = LayeredProject(pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3]))
print(project.build().digest)
"""
_SITE = f"app/lib/python{_MINOR}/site-packages"


def test_the_order_of_the_layers(layered_project: LayeredProject) -> None:
    image = layered_project.build(files={"demo/resources/a.txt": "a\n"})
    files = layered_project.files(image)
    system, environment, dependencies, resources, project = files.layers[1:]
    assert f"usr/local/lib/python{_MINOR}/__pycache__/os.{_TAG}.pyc" in system
    assert not any("/test/" in name for name in system)
    assert "app/pyvenv.cfg" in environment
    assert f"{_SITE}/bigflow/__main__.py" in dependencies
    assert f"{_SITE}/demo/resources/a.txt" in resources
    assert f"{_SITE}/demo/__init__.py" in project
    assert files.files["etc/passwd"].content == (
        b"root:x:0:0:root:/root:/bin/sh\napp:x:10001:10001::/home/app:/bin/sh\n"
    )
    assert files.files["home/app"].owner == (USER, USER)
    assert {f.owner for n, f in files.files.items() if n != "home/app"} == {(0, 0)}


def test_a_build_without_changes_writes_nothing(
    layered_project: LayeredProject, tmp_path: Path
) -> None:
    first = layered_project.build()
    written = _blobs(tmp_path)
    again = layered_project.build()
    assert (again.digest, again.id) == (first.digest, first.id)
    assert _blobs(tmp_path) == written


def test_a_changed_line_makes_one_small_layer(
    layered_project: LayeredProject, tmp_path: Path
) -> None:
    resource = {"demo/resources/a.txt": "a\n"}
    layered_project.build(files=resource)
    written = _blobs(tmp_path)
    image = layered_project.build(files={"demo/__init__.py": "TEXT = 'second'\n", **resource})
    new = {name: size for name, size in _blobs(tmp_path).items() if name not in written}
    assert len(new) == 3  # the project, the configuration, the manifest
    assert sum(new.values()) < 20_000
    module = layered_project.files(image).files[f"{_SITE}/demo/__init__.py"]
    assert module.content == b"TEXT = 'second'\n"


def _blobs(tmp_path: Path) -> dict[str, int]:
    return {p.name: p.stat().st_size for p in (tmp_path / "cache/blobs/sha256").iterdir()}


def test_two_builds_at_once(layered_project: LayeredProject, tmp_path: Path) -> None:
    """Two projects with one empty cache give the same images as one after the other."""
    projects = []
    for name in ("one", "two"):
        root = tmp_path / name
        shutil.copytree(layered_project.root, root)
        projects.append(dataclasses.replace(layered_project, root=root))
    with ThreadPoolExecutor(2) as pool:
        images = list(pool.map(lambda project: project.build(), projects))
    assert images[0].digest == images[1].digest == layered_project.build().digest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_build_that_is_stopped(
    layered_project: LayeredProject, tmp_path: Path, number: signal.Signals
) -> None:
    """It stops while it builds a dependency: the last image stays, and the next build works."""
    before = layered_project.build()
    assert before.tar is not None
    content = before.tar.read_bytes()
    started = tmp_path / "started"
    waits = f"import pathlib, time; pathlib.Path({str(started)!r}).touch(); time.sleep(600)"
    sdist = make_sdist(layered_project.wheels, "slow", "1.0", before=waits)
    layered_project.require("slow")
    child = subprocess.Popen(
        [
            sys.executable, "-c", _BUILD,
            layered_project.root, layered_project.base, layered_project.wheels,
        ],
        env={**os.environ, "PYTHONPATH": str(_TESTS)},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    while not started.exists():
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(0.01)
            pytest.fail("the build ended too early")
    os.killpg(child.pid, number)
    assert child.wait() != 0
    assert before.tar.read_bytes() == content
    sdist.unlink()
    layered_project.require()
    assert layered_project.build().digest == before.digest


def test_equal_bytes_in_another_place(
    layered_project: LayeredProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another directory, cache, umask and time zone, and other times of the wheels."""
    first = layered_project.build(files={"demo/resources/a.txt": "a\n"})
    assert first.tar is not None
    before = first.tar.read_bytes()
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(layered_project.root, elsewhere, ignore=shutil.ignore_patterns(".image"))
    for path in layered_project.wheels.iterdir():
        os.utime(path, (0, 1_000_000_000))
    monkeypatch.setenv("BIGFLOW_CACHE", str(tmp_path / "another-cache"))
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    layered_project.root = elsewhere
    mask = os.umask(0o077)
    try:
        again = layered_project.build(files={"demo/resources/a.txt": "a\n"})
    finally:
        os.umask(mask)
    assert again.tar is not None
    assert again.tar.read_bytes() == before


# The user may read this checkout also where only root may enter its directory.
_AS_NOBODY = (
    *("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
)


def test_another_user_gets_the_same_bytes(layered_project: LayeredProject, tmp_path: Path) -> None:
    """The user nobody, with another build of Python and another home directory."""
    python = Path("/usr/bin/python3")
    if os.geteuid() != 0 or not python.exists():
        pytest.skip("this needs root and a Python that other users can run")
    # No machine has a Python of this version, so no bytecode is made: it depends on the Python.
    small_base(tmp_path / "base.tar", version="3.99.1")
    first = layered_project.build()
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        shutil.copytree(layered_project.root, work / "project")
        shutil.copytree(layered_project.wheels, work / "wheels")
        shutil.copy(tmp_path / "base.tar", work / "base.tar")
        for path in (work, *work.rglob("*")):
            shutil.chown(path, "nobody")
        packages = [_TESTS, _TESTS.parent / "src", sysconfig.get_path("purelib")]
        base = f"docker-archive:{work}/base.tar"
        done = subprocess.run(
            [*_AS_NOBODY, python, "-c", _BUILD, work / "project", base, work / "wheels"],
            env={
                **os.environ,
                "BIGFLOW_CACHE": str(work / "cache"),
                "UV_CACHE_DIR": str(work / "uv"),
                "HOME": str(work),
                "PYTHONPATH": os.pathsep.join(map(str, packages)),
            },
            cwd=work,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == first.digest


def test_the_image_inherits_the_base_s_settings(
    layered_project: LayeredProject, tmp_path: Path
) -> None:
    base = small_base(
        tmp_path / "set.tar",
        Env=["PATH=/opt/bin:/usr/local/bin", "LANG=C.UTF-8"],
        Entrypoint=["/entry"],
        Labels={"a": "1"},
        Hostname="of a container",
    )
    config = layered_project.files(layered_project.build(base_image=base)).config["config"]
    assert config["Env"] == [
        "PATH=/app/bin:/opt/bin:/usr/local/bin",
        "LANG=C.UTF-8",
        "PYTHONUNBUFFERED=1",
        "PYTHONDONTWRITEBYTECODE=1",
    ]
    assert config["Entrypoint"] == ["/entry"]
    assert config["Labels"]["a"] == "1"
    assert config["Labels"]["org.opencontainers.image.revision"] == "c0ffee"
    assert "Hostname" not in config


def test_the_standard_dockerfile_with_another_base(layered_project: LayeredProject) -> None:
    text = STANDARD.read_text().replace("python:3.12-slim-bookworm", layered_project.base)
    layered_project.write({"Dockerfile": "# ours\n\n" + text})
    info = layered_project.info(layered_project.build(base_image=None))
    assert info["base"]["name"] == layered_project.base
    assert info["base"]["digest"].startswith("sha256:")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "PYTHONUNBUFFERED=1",
            "PYTHONUNBUFFERED=0",
            r"line \d+, differs from",
        ),
        ("WORKDIR /home/app\n", "", "differs from the standard Dockerfile"),
        (
            "LABEL org.opencontainers",
            "RUN true\nLABEL org.opencontainers",
            "differs from the standard",
        ),
    ],
)
def test_a_changed_dockerfile(
    layered_project: LayeredProject, old: str, new: str, message: str
) -> None:
    text = STANDARD.read_text()
    assert old in text
    layered_project.write({"Dockerfile": text.replace(old, new)})
    with pytest.raises(UserError, match=message) as caught:
        layered_project.build()
    assert 'builder = "engine"' in caught.value.hint


def test_a_dockerfile_that_ends_early(layered_project: LayeredProject) -> None:
    text = STANDARD.read_text()
    layered_project.write({"Dockerfile": text[: text.index("LABEL")]})
    with pytest.raises(UserError, match="ends before the standard Dockerfile"):
        layered_project.build()


def test_a_base_with_onbuild(layered_project: LayeredProject, tmp_path: Path) -> None:
    base = small_base(tmp_path / "triggers.tar", OnBuild=["COPY . /app"])
    with pytest.raises(UserError, match="has ONBUILD instructions"):
        layered_project.build(base_image=base)


@pytest.mark.parametrize(
    ("files", "config", "message"),
    [
        ({}, {"Env": ["PATH=/opt/bin"]}, "has no python3 on its PATH: /opt/bin"),
        (
            {"opt/bin/python3": "#!/bin/sh\n"},
            {"Env": ["PATH=/opt/bin"]},
            "/opt/bin/python3 is not a CPython 3: got /opt/bin/python3",
        ),
        (
            {"usr/local/bin/python3.11": "no version"},
            {},
            "/usr/local/bin/python3.11 does not contain its version",
        ),
        (
            {"lib/x86_64-linux-gnu/libc.so.6": "another"},
            {},
            "has neither the GNU C library nor musl",
        ),
    ],
)
def test_a_base_without_a_supported_python(
    layered_project: LayeredProject,
    tmp_path: Path,
    files: dict[str, str],
    config: dict[str, Any],
    message: str,
) -> None:
    base = small_base(tmp_path / "odd.tar", files=files, **config)
    with pytest.raises(UserError) as caught:
        layered_project.build(base_image=base)
    assert message in caught.value.message


def test_an_image_gets_the_runtime_of_this_machine(layered_project: LayeredProject) -> None:
    layered_project.write({"resources/requirements.txt": ""})
    image = layered_project.build()
    assert layered_project.info(image)["dependencies"] == [
        f"bigflow-backend=={version('bigflow-backend')}"
    ]
    names = layered_project.files(image).files
    minor = ".".join(platform.python_version_tuple()[:2])
    assert f"app/lib/python{minor}/site-packages/bigflow/run.py" in names


def test_a_failed_build_leaves_the_last_image(layered_project: LayeredProject) -> None:
    layered_project.build()
    directory = layered_project.root / ".image"
    before = {p.name: p.read_bytes() for p in directory.iterdir()}
    layered_project.require("no-such-library")
    with pytest.raises(UserError, match="no-such-library"):
        layered_project.build()
    assert {p.name: p.read_bytes() for p in directory.iterdir()} == before


def test_a_full_disk(
    layered_project: LayeredProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], check=True)
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    try:
        with pytest.raises(UserError) as caught:
            layered_project.build(files={"demo/resources/large.txt": "x" * 200_000})
    finally:
        subprocess.run(["umount", disk], check=True)
    assert caught.value.message == (
        f"no space for temporary files in {disk}: No space left on device"
    )
    assert not (layered_project.root / ".image").exists()


def test_no_secret_goes_into_the_image(
    layered_project: LayeredProject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Secrets of the environment, of files of the project and of pip's configuration."""
    secret = "s3cr3t-planted"
    monkeypatch.setenv("DATABASE_PASSWORD", secret)
    monkeypatch.delenv("PIP_NO_INDEX")
    pip = tmp_path / "pip.conf"
    # The index is not needed: everything is in find-links.
    pip.write_text(
        f"[global]\nno-index = true\nextra-index-url = https://me:{secret}@localhost/x\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(pip))
    layered_project.write({".env": secret, "secret.txt": secret, "deployment_config.py": ""})
    image = layered_project.build()
    assert image.tar is not None
    with tarfile.open(image.tar) as archive:
        layers = [n for n in archive.getnames() if n.startswith("blobs/")]
        assert len(layers) == 7
    everything = json.dumps(layered_project.files(image).config)
    everything += "".join(str(f.content) for f in layered_project.files(image).files.values())
    everything += image.info.read_text() + "\n".join(layered_project.said)
    assert secret not in everything
