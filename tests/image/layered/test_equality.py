"""The layered builder and the standard Dockerfile on an engine make the same image."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import json
import marshal
import os
import re
import stat
import subprocess
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from bigflow_backend.image.dockerfile import STANDARD
from bigflow_backend.project.project import read_project
from bigflow_backend.project.settings import ImageSettings
from bigflow_backend.version import ProjectVersion
from support.builds import build_image
from support.distribution import make_wheel
from support.images import ImageFiles, read_image
from support.registry import installed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from docker import DockerClient

    from bigflow_backend.image.image import PublishedImage
    from support.images import File

pytestmark = pytest.mark.engine

_REPOSITORY = "bigflow-test/equal"
_SITE = "app/lib/python3.11/site-packages"
_NOTES = (".dist-info/INSTALLER", ".dist-info/REQUESTED")
_SCRIPT = re.compile(
    rb"#!/app/bin/python\n.*^\s*from (?P<module>[\w.]+) import (?P<name>\w+)\n"
    rb".*sys\.exit\((?P<call>[\w.]+)\(\)\)\n",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Both:
    """One project, built by both builders."""

    engine: ImageFiles
    layered: ImageFiles
    infos: tuple[dict[str, object], dict[str, object]]
    image: PublishedImage
    """The layered builder's, which was loaded into the engine."""


@pytest.fixture(scope="module")
def user_base(engine: DockerClient, base_image: str) -> Iterator[str]:
    """The base image with a user without rights, as companies give them out."""
    tag = f"{_REPOSITORY}-base:1"
    text = f"FROM {base_image}\nUSER 1000:1000\n"
    engine.images.build(fileobj=io.BytesIO(text.encode()), tag=tag, rm=True)
    yield tag
    engine.images.remove(tag, force=True)


@pytest.fixture(scope="module")
def base_archive(
    engine: DockerClient, user_base: str, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The base image as ``docker save`` writes it."""
    path = tmp_path_factory.mktemp("base") / "base.tar"
    with path.open("wb") as file:
        file.writelines(engine.api.get_image(user_base))
    return path


@pytest.fixture(scope="module")
def both(
    engine: DockerClient,
    user_base: str,
    base_archive: Path,
    bigflow_wheels: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Both]:
    """The images of a project with scripts, data, headers, an extension module and resources."""
    work = tmp_path_factory.mktemp("equal")
    root = work / "project"
    for name, text in {
        "Dockerfile": STANDARD.read_text(),
        "demo/__init__.py": "",
        "pyproject.toml": (
            '[build-system]\nrequires = []\nbuild-backend = "bigflow_backend"\n'
            '[project]\nname = "demo"\nurls.Source = "https://example.com/demo"\n'
        ),
        "resources/requirements.txt": "bigflow-backend\nlibrary\n-r more.txt\n",
        # setuptools is in the base image, in a version that is good enough.
        "resources/more.txt": "requests==2.32.3  # old\nMarkupSafe\nsetuptools\n",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    wheels = work / "wheels"
    _library(wheels)
    # It has a file of the library, which is installed after it.
    make_wheel(
        wheels,
        "another",
        "1.0",
        {
            "another.pth": "import sys\n",
            "company/tools/data.json": '{"of": "another"}\n',
            "company/tools/shared.py": "OF = 'another'\n",
        },
    )
    info = "demo-1.0.0.dist-info"
    wheel = make_wheel(
        root / "dist",
        "demo",
        "1.0.0",
        {
            "demo/__init__.py": "def main():\n    print('ran')\n",
            "demo/resources/query.sql": "SELECT 1\n",
            "demo-1.0.0.data/data/share/demo/data.csv": "1,2\n",
            "broken.py": "def\n",
            "company/tools/two.py": "from company.tools import one\n",
            f"{info}/entry_points.txt": "[console_scripts]\ndemo-tool = demo:main\n",
        },
    )
    options = ImageSettings(network="host", find_links=(str(bigflow_wheels), str(wheels)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIGFLOW_CACHE", str(work / "cache"))
        # For the case without bubblewrap: this Python is the base's.
        patch.setenv("PATH", f"/usr/bin{os.pathsep}{os.environ['PATH']}")
        found = []
        for builder, base in (
            ("engine", user_base),
            ("layered", f"docker-archive:{base_archive}"),
        ):
            image = build_image(
                read_project(root),
                wheel,
                repository=f"{_REPOSITORY}-{builder}",
                version=ProjectVersion(text="1.0.0", source="the test", commit="c0ffee"),
                settings=dataclasses.replace(
                    options,
                    builder=builder,  # type: ignore[arg-type]
                    base_image=base,
                    load=builder == "layered",
                ),
            )
            assert image.tar is not None
            found.append((image, read_image(image.tar), json.loads(image.info.read_text())))
    try:
        yield Both(found[0][1], found[1][1], (found[0][2], found[1][2]), found[1][0])
    finally:
        for image, _files, _info in found:
            engine.images.remove(image.tag, force=True)


def _library(directory: Path) -> None:
    """Write a wheel with all kinds of files that a wheel can have besides modules."""
    directory.mkdir()
    content = {
        "library.py": "def main():\n    print('library')\n",
        # A namespace package (PEP 420) that another distribution has parts of.
        "company/tools/one.py": "ONE = 1\n",
        "company/tools/data.json": "{}\n",
        "company/tools/shared.py": "OF = 'library'\n",
        "library-3.1.data/scripts/old-style": "#!python\nprint('old')\n",
        "library-3.1.data/scripts/shell": "#!/bin/sh\necho shell\n",
        "library-3.1.data/data/share/library/x.txt": "x\n",
        "library-3.1.data/headers/library.h": "// C\n",
        "library-3.1.data/purelib/pure.py": "PURE = True\n",
        "library-3.1.dist-info/METADATA": "Metadata-Version: 2.1\nName: library\nVersion: 3.1\n"
        "Requires-Dist: another\n",
        "library-3.1.dist-info/WHEEL": (
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
        "library-3.1.dist-info/entry_points.txt": (
            "[console_scripts]\nlibrary = library:main\n[gui_scripts]\nlibrary-gui = library:main\n"
        ),
    }
    record = "library-3.1.dist-info/RECORD"
    rows = [f"{name},sha256={_hash(text)},{len(text)}\n" for name, text in content.items()]
    content[record] = "".join([*rows, f"{record},,\n"])
    with zipfile.ZipFile(directory / "library-3.1-py3-none-any.whl", "w") as archive:
        for name, text in content.items():
            member = zipfile.ZipInfo(name)
            mode = 0o755 if "/scripts/" in name else 0o644
            member.external_attr = (stat.S_IFREG | mode) << 16
            archive.writestr(member, text)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def test_the_same_files_in_the_environment(both: Both) -> None:
    """All that a program can see is equal, byte for byte, but for three kinds of content.

    pip and uv write other text around the entry point of a script: the test compares what the
    script runs. The marks of objects in bytecode depend on what else a process has met: the test
    loads the bytecode. INSTALLER and REQUESTED, and their rows in RECORD, are notes for installers.
    """
    engine, layered = (
        {n: f for n, f in files.below("app").items() if not n.endswith(_NOTES)}
        for files in (both.engine, both.layered)
    )
    assert layered.keys() == engine.keys()
    assert f"{_SITE}/demo/resources/query.sql" in layered
    assert f"{_SITE}/setuptools" not in layered
    assert layered[f"{_SITE}/company/tools/shared.py"].content == b"OF = 'library'\n"
    scripts = {name for name, file in engine.items() if _script(file)}
    assert {"app/bin/bigflow", "app/bin/demo-tool", "app/bin/library-gui"} <= scripts
    differing = []
    for name, file in engine.items():
        other = layered[name]
        assert dataclasses.replace(file, content=None) == dataclasses.replace(other, content=None)
        if name in scripts:
            assert _script(file) == _script(other), name
        elif name.endswith(".pyc"):
            assert _code(file) == _code(other), name
        elif name.endswith(".dist-info/RECORD"):
            assert _rows(file, scripts) == _rows(other, scripts), name
        elif file != other:
            differing.append(name)
    assert differing == []


def _script(file: File) -> tuple[bytes, ...] | None:
    match = _SCRIPT.fullmatch(file.content or b"")
    return match.groups() if match and file.mode == 0o755 else None


def _code(file: File) -> tuple[bytes, object]:
    assert file.content is not None
    return file.content[:16], marshal.loads(file.content[16:])


def _rows(file: File, scripts: set[str]) -> list[list[str]]:
    assert file.content is not None
    left_out = {f"../../../{name.removeprefix('app/')}" for name in scripts}
    rows = [row.split(",") for row in file.content.decode().splitlines()]
    return sorted(row for row in rows if row[0] not in left_out and not row[0].endswith(_NOTES))


def test_the_same_user_and_the_same_bytecode_of_the_library(both: Both) -> None:
    for name in ("etc/passwd", "etc/group", "home", "home/app"):
        assert both.layered.files[name] == both.engine.files[name]
    library = "usr/lib/python3.11"
    assert both.layered.below(library).keys() == both.engine.below(library).keys()
    compared = 0
    for name, file in both.layered.below(library).items():
        other = both.engine.files[name]
        # In the engine's image, modules that compileall imports have bytecode with a time: Python
        # wrote it, and compileall found it up to date.
        if name.endswith(".pyc") and other.content and other.content[4:8] == b"\1\0\0\0":
            assert _code(file) == _code(other), name
            compared += 1
    assert compared > 400


def test_the_same_settings(both: Both) -> None:
    engine, layered = both.engine.config["config"], both.layered.config["config"]
    # An engine adds the state of a container, empty settings, and a mark for Windows (BuildKit).
    meaningful = {
        k: v for k, v in engine.items() if v and k not in {"Image", "Hostname", "ArgsEscaped"}
    }
    assert layered == meaningful


def test_the_same_keys_in_imageinfo(both: Both) -> None:
    engine, layered = both.infos
    assert engine.keys() == layered.keys()
    assert layered["digest"] == both.image.digest
    created_by = [layer["created_by"] for layer in layered["layers"]]  # type: ignore[attr-defined]
    assert created_by[1:3] == [
        "a user without rights; bytecode of the library",
        "a virtual environment",
    ]
    assert all(text.startswith("dependencies: ") for text in created_by[3:-3])
    assert created_by[-3] == "files that several dependencies have"
    assert created_by[-2:] == ["resources", "project"]
    assert "requests==2.32.3" in layered["dependencies"]  # type: ignore[operator]


def test_it_runs_in_the_engine_it_was_loaded_into(both: Both, engine: DockerClient) -> None:
    def output(*command: str) -> str:
        run = engine.containers.run(both.image.tag, list(command), network_mode="none", remove=True)
        return str(run.decode().strip())

    assert output("demo-tool") == "ran"
    assert output("old-style") == "old"
    assert output("library-gui") == "library"
    assert output("id") == "uid=10001(app) gid=10001(app) groups=10001(app)"
    assert "bigflow" in output("python", "-m", "bigflow", "--version")
    # The path of the bytecode shows that Python loads it.
    program = "import demo, os, requests; print(demo.__cached__, requests.__version__)"
    assert output("python", "-c", program) == (
        f"/{_SITE}/demo/__pycache__/__init__.cpython-311.pyc 2.32.3"
    )


@pytest.mark.parametrize("builder", ["engine", "layered"])
def test_a_pod_compiles_nothing_when_it_starts(
    both: Both, engine: DockerClient, builder: str
) -> None:
    tag = both.image.tag.replace("layered", builder)
    imports = "import demo, email.message, json, pure, requests, sqlite3, urllib.request"
    text = ""
    for arguments in (["-m", "bigflow", "--version"], ["-c", imports]):
        command = ["python", "-v", *arguments]
        text += engine.containers.run(
            tag, command, network_mode="none", remove=True, stdout=False, stderr=True
        ).decode()

    # The output has the place of each module's code: https://docs.python.org/3/using/cmdline.html#cmdoption-v
    taken = set(re.findall(r"^# code object from '?([^'\n]+)'?$", text, re.MULTILINE))
    assert f"/{_SITE}/bigflow/__pycache__/cli.cpython-311.pyc" in taken
    assert f"/{_SITE}/requests/__pycache__/api.cpython-311.pyc" in taken
    assert "/usr/lib/python3.11/email/__pycache__/message.cpython-311.pyc" in taken
    # The packages of the base image stay as they are.
    packages = "/usr/lib/python3/dist-packages/"
    assert not {p for p in taken if p.endswith(".py") and not p.startswith(packages)}


def test_it_is_an_oci_layout_and_a_docker_archive(both: Both, tmp_path: Path) -> None:
    """skopeo, an independent client, reads it as both."""
    skopeo = installed("skopeo", package="skopeo")
    assert both.image.tar is not None
    for kind in ("oci-archive", "docker-archive"):
        target = tmp_path / kind
        subprocess.run(
            [skopeo, "copy", "--insecure-policy", f"{kind}:{both.image.tar}", f"oci:{target}:x"],
            check=True,
            capture_output=True,
        )
        index = json.loads((target / "index.json").read_text())
        if kind == "oci-archive":
            assert index["manifests"][0]["digest"] == both.image.digest
