"""Images on a real Docker Engine: what is in them, what is written, what is left when it fails."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import re
import signal
import socket
import socketserver
import tarfile
import threading
from dataclasses import dataclass, replace
from http.server import HTTPServer, SimpleHTTPRequestHandler
from typing import TYPE_CHECKING, Any

import docker
import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.dockerfile import STANDARD
from bigflow_backend.project.project import Project, read_project
from bigflow_backend.project.settings import ImageSettings
from bigflow_backend.version import ProjectVersion
from support.base_image import make_base_image
from support.builds import build_image
from support.containers import all_containers, no_more_than
from support.distribution import make_wheel
from support.engine import private_engine, sockets_may_leak
from support.matrix import rest_slow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from docker import DockerClient

    from bigflow_backend.image.image import PublishedImage

pytestmark = pytest.mark.engine

_REPOSITORY = "bigflow-test/demo"
_OURS = "bigflow.test.offline"
_SHORT = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
ENV PYTHONPATH=/site
COPY wheels/ /wheels/
COPY dist/ /dist/
RUN for wheel in /wheels/bigflow*.whl /dist/*.whl; do python3 -m zipfile -e $wheel /site; done
LABEL end=
"""


class Cut(socketserver.ThreadingUnixStreamServer):
    """Passes connections on to a Unix socket, until they are cut."""

    daemon_threads = True

    def __init__(self, path: Path, target: str) -> None:
        self.path = path
        self.target = target
        self.open: list[socket.socket] = []
        super().__init__(str(path), _Passing)
        threading.Thread(target=self.serve_forever).start()

    def now(self) -> None:
        """Cuts every connection, and makes no more."""
        self.target = "/nowhere"
        for end in self.open:
            with contextlib.suppress(OSError):  # it may be closed already
                end.shutdown(socket.SHUT_RDWR)

    def server_close(self) -> None:
        self.shutdown()
        super().server_close()


class _Passing(socketserver.BaseRequestHandler):
    server: Cut

    def handle(self) -> None:
        with socket.socket(socket.AF_UNIX) as engine:
            try:
                engine.connect(self.server.target)
            except OSError:
                return
            self.server.open += [engine, self.request]
            back = threading.Thread(target=_pass, args=(engine, self.request))
            back.start()
            _pass(self.request, engine)
            back.join()


def _pass(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):  # either side may have gone
        while data := source.recv(2**16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@dataclass(frozen=True)
class Demo:
    """A project and what its images are built with."""

    project: Project
    options: ImageSettings
    engine: DockerClient

    def wheel(self, version: str = "1.0.0", *, text: str = "first") -> Path:
        files = {"demo/__init__.py": f"TEXT = {text!r}\n"}
        return make_wheel(self.project.root / "dist", "demo", version, files)

    def dockerfile(self, text: str) -> None:
        self.project.dockerfile.write_text(text)

    def build(
        self,
        *,
        wheel: Path | None = None,
        version: str = "1.0.0",
        say: Callable[[str], None] = lambda _line: None,
        **options: Any,
    ) -> PublishedImage:
        return build_image(
            self.project,
            wheel or self.wheel(),
            repository=_REPOSITORY,
            version=ProjectVersion(text=version, source="the test", commit="c0ffee"),
            settings=replace(self.options, **options),
            say=say,
        )

    def run(self, image: PublishedImage, *command: str) -> str:
        """The output of a command in the image, which runs as a pod's container does."""
        out = self.engine.containers.run(image.tag, list(command), network_mode="none", remove=True)
        return out.decode().strip()

    def state(self) -> Any:
        """Everything that a failed build must leave as it was."""
        files = {
            path.relative_to(self.project.root): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in self.project.root.rglob("*")
            if path.is_file()
            and path.parent != self.project.root / "dist"
            and path.name != "Dockerfile"
        }
        tags = {tag: i.id for i in self.engine.images.list() for tag in i.tags}
        return files, tags


@pytest.fixture(scope="module")
def offline_base(engine: DockerClient, base_image: str) -> Iterator[str]:
    """The base image, whose pip asks no index: these tests need no network."""
    dockerfile = f"FROM {base_image}\nENV PIP_NO_INDEX=1\nLABEL {_OURS}=\n"
    tag = "bigflow-test/offline-base:1"
    engine.images.build(fileobj=io.BytesIO(dockerfile.encode()), tag=tag, rm=True)
    yield tag
    # All that was built on it has its label; what has children cannot go before them.
    while images := engine.images.list(all=True, filters={"label": _OURS, "dangling": True}):
        for image in images:
            engine.images.remove(str(image.id), force=True)
    engine.images.remove(tag)


@pytest.fixture
def demo(
    tmp_path: Path, engine: DockerClient, offline_base: str, bigflow_wheels: Path
) -> Iterator[Demo]:
    root = tmp_path / "project"
    for name, text in {
        "Dockerfile": _SHORT,
        "demo/__init__.py": "",
        "deployment_config.py": "deployment_config = None\n",
        "project_setup.py": 'from bigflow_backend import setup\nsetup(name="demo")\n',
        "pyproject.toml": '[project]\nname = "demo"\nurls.Source = "https://example.com/demo"\n',
        "resources/requirements.txt": "bigflow-backend\nlibrary\n",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    wheels = tmp_path / "wheels"
    make_wheel(wheels, "library", "3.1", {"library.py": ""})
    options = ImageSettings(
        builder="engine",
        base_image=offline_base,
        find_links=(str(bigflow_wheels), str(wheels)),
        network="none",
        export_tar=False,
    )
    yield Demo(read_project(root), options, engine)
    for image in engine.images.list(_REPOSITORY):
        for tag in image.tags:
            # What it was made of stays as a cache for the next test.
            engine.images.remove(tag, force=True, noprune=True)


@pytest.fixture
def standard(demo: Demo) -> Demo:
    demo.dockerfile(STANDARD.read_text())
    return demo


def test_the_standard_image(standard: Demo) -> None:
    files = {"demo/__init__.py": "def main() -> None:\n    print('ran')\n"}
    files["demo-1.0.0.dist-info/entry_points.txt"] = "[console_scripts]\ndemo-tool = demo:main\n"
    image = standard.build(wheel=make_wheel(standard.project.root / "dist", "demo", "1.0.0", files))
    assert image.tag == f"{_REPOSITORY}:1.0.0"
    assert "bigflow" in standard.run(image, "python", "-m", "bigflow", "--version").lower()
    assert standard.run(image, "demo-tool") == "ran"
    # A user without rights, who can write at home but not to the application.
    assert standard.run(image, "sh", "-c", "id -u; id -g; pwd; touch here && echo $HOME") == (
        "10001\n10001\n/home/app\n/home/app"
    )
    with pytest.raises(Exception, match="Permission denied"):
        standard.run(image, "touch", "/app/lib/there")
    found = standard.run(
        image,
        "python",
        "-c",
        "import importlib.metadata as m, demo, json\n"
        "print(m.version('demo'), m.version('bigflow-backend'), m.version('library'))\n"
        "print(demo.__file__, json.__spec__.has_location)",
    )
    assert found.startswith("1.0.0 0.1.0 3.1\n/app/lib/python3")


@pytest.mark.slow
def test_the_labels_of_the_standard_image(standard: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1600000000")
    image = standard.build()
    labels = standard.engine.images.get(image.tag).labels
    assert {k.rpartition(".")[2]: v for k, v in labels.items() if "opencontainers" in k} == {
        "version": "1.0.0",
        "revision": "c0ffee",
        "source": "https://example.com/demo",
        "created": "2020-09-13T12:26:40Z",
    }


def test_every_module_has_valid_bytecode(standard: Demo) -> None:
    """Each task starts a container, and what is not compiled is compiled at each start."""
    program = (
        "import importlib.util, json, pathlib, sysconfig\n"
        "lacking = [str(p) for p in pathlib.Path('/app/lib').rglob('*.py')\n"
        "           if not pathlib.Path(importlib.util.cache_from_source(p)).exists()]\n"
        "codec = pathlib.Path(importlib.util.cache_from_source(json.decoder.__file__))\n"
        "print(lacking, int.from_bytes(codec.read_bytes()[4:8], 'little'))"
    )
    image = standard.build()
    unchecked_hash = 0b01  # https://peps.python.org/pep-0552/
    assert standard.run(image, "python", "-c", program) == f"[] {unchecked_hash}"


@pytest.mark.slow
def test_wheels_leave_nothing_in_the_standard_image(standard: Demo) -> None:
    image = standard.build(export_tar=True, tags=("latest",))
    assert image.tar is not None
    with tarfile.open(image.tar) as archive:
        (manifest,) = json.load(extracted(archive, "manifest.json"))
        names = set()
        for layer in manifest["Layers"]:
            with tarfile.open(fileobj=extracted(archive, layer)) as layer_archive:
                names |= set(layer_archive.getnames())
    assert manifest["RepoTags"] == list(image.tags)
    assert image.tags[1] == f"{image.tag.rpartition(':')[0]}:latest"
    assert any(name.endswith("/library.py") for name in names)
    assert not {n for n in names if n.endswith(".whl") or n.startswith(("wheels", "dist"))}


def extracted(archive: tarfile.TarFile, name: str) -> io.BytesIO:
    file = archive.extractfile(name)
    assert file is not None
    return io.BytesIO(file.read())


def test_a_changed_project_changes_one_layer(standard: Demo) -> None:
    first = layers(standard.build())
    second = layers(standard.build(wheel=standard.wheel(text="second")))
    assert first[:-1] == second[:-1]
    assert first[-1]["digest"] != second[-1]["digest"]
    assert first[-1]["size"] < 10_000


def layers(image: PublishedImage) -> Any:
    return json.loads(image.info.read_bytes())["layers"]


@pytest.mark.slow
def test_an_unchanged_project_gives_the_same_image(standard: Demo) -> None:
    assert standard.build().id == standard.build().id


@pytest.mark.slow
def test_builds_leave_no_more_and_more_images(standard: Demo) -> None:
    counts = set()
    for text in ("one of many", "another of many", "the last of many"):
        standard.build(wheel=standard.wheel(text=text))
        counts.add(len(standard.engine.images.list(all=True)))
    assert len(counts) == 1


def test_what_is_written(demo: Demo) -> None:
    (demo.project.root / ".image").mkdir()
    ((demo.project.root / ".image") / "image-0.9.tar").write_text("of the last version")
    image = demo.build(export_tar=True)
    assert sorted(p.name for p in (demo.project.root / ".image").iterdir()) == [
        ".gitignore",
        "deployment_config.py",
        "image-1.0.0.cdx.json",
        "image-1.0.0.provenance.json",
        "image-1.0.0.tar",
        "imageinfo-1.0.0.json",
    ]
    info = json.loads(((demo.project.root / ".image") / "imageinfo-1.0.0.json").read_bytes())
    assert (
        info.items()
        >= {
            "tag": image.tag,
            "id": demo.engine.images.get(image.tag).id,
            "version": "1.0.0",
            "commit": "c0ffee",
            "size": image.size,
        }.items()
    )
    assert info["base"]["id"] == demo.engine.images.get(str(demo.options.base_image)).id
    assert info["wheel"]["name"] == "demo-1.0.0-py3-none-any.whl"
    assert info["builder"] == image.builder
    assert sum(layer["size"] for layer in info["layers"]) == image.size
    copied = ((demo.project.root / ".image") / "deployment_config.py").read_text()
    assert copied == demo.project.deployment_config.read_text()


def test_the_tar_brings_the_image_back(demo: Demo) -> None:
    image = demo.build(export_tar=True)
    demo.engine.images.remove(image.tag)
    assert image.tar is not None
    with image.tar.open("rb") as file:
        (loaded,) = demo.engine.images.load(file)
    assert loaded.tags == [image.tag]
    assert demo.run(image, "python", "-c", "import demo; print(demo.TEXT)") == "first"


def test_no_tar(demo: Demo) -> None:
    image = demo.build()
    assert image.tar is None
    assert not list((demo.project.root / ".image").glob("*.tar"))
    assert demo.engine.images.get(image.tag).id == image.id


@pytest.mark.slow
def test_a_version_with_a_local_part(demo: Demo) -> None:
    image = demo.build(wheel=demo.wheel("1.0+gabc"), version="1.0+gabc")
    assert image.tag == f"{_REPOSITORY}:1.0-gabc"
    assert ((demo.project.root / ".image") / "imageinfo-1.0+gabc.json").is_file()


@pytest.mark.slow
def test_other_names_of_an_image_stay(demo: Demo) -> None:
    """BigFlow removed by the image's id, and with it every other name that the image had."""
    first = demo.build()
    demo.engine.images.get(first.tag).tag(_REPOSITORY, "kept")
    second = demo.build(wheel=demo.wheel(text="second"))
    assert demo.engine.images.get(f"{_REPOSITORY}:kept").id == first.id != second.id


def test_the_output_comes_line_by_line(demo: Demo) -> None:
    lines: list[str] = []
    demo.build(wheel=demo.wheel(text="not in the cache"), say=lines.append)
    assert any(line.endswith("COPY dist/ /dist/") for line in lines)
    assert not any("\n" in line or "\x1b" in line or not line.strip() for line in lines)


def test_build_args(demo: Demo) -> None:
    demo.dockerfile(_SHORT + 'ARG FLAVOUR=none\nLABEL flavour="${FLAVOUR}"\n')
    image = demo.build(build_args={"FLAVOUR": "with spaces", "HTTP_PROXY": "http://proxy"})
    assert demo.engine.images.get(image.tag).labels["flavour"] == "with spaces"


def test_a_dockerfile_with_mounts(demo: Demo) -> None:
    (demo.project.root / "token").write_text("s3cret")
    mounts = "--mount=type=cache,target=/cache --mount=type=secret,id=token"
    demo.dockerfile(f"{_SHORT}RUN {mounts} wc -c < /run/secrets/token > /size\n")
    image = demo.build(secrets=("id=token,src=token",))
    assert demo.run(image, "sh", "-c", "cat /size; ls -A /cache /run/secrets") == (
        "6\n/cache:\n\n/run/secrets:"
    )


def test_a_secret_that_the_dockerfile_does_not_use(demo: Demo) -> None:
    error = refused(demo, secrets=("id=token,src=token",))
    assert error.message.startswith("the Dockerfile uses no secret, so secrets ")
    assert "--mount=type=secret" in error.hint


def refused(demo: Demo, **options: Any) -> UserError:
    """The error of a build that fails, and leaves everything as it was."""
    before, containers = demo.state(), all_containers(demo.engine)
    with pytest.raises(UserError) as raised:
        demo.build(**options)
    assert demo.state() == before
    no_more_than(containers, demo.engine)
    assert "\n" not in raised.value.message + raised.value.hint
    assert raised.value.hint
    return raised.value


_ERRORS = {
    "syntax": (
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUNN true\n",
        r"Dockerfile, line 3: unknown instruction: RUNN",
        "fix that line",
    ),
    "run": (
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n\nRUN echo so >&2 \\\n && exit 7\n",
        r"Dockerfile, line 4: RUN echo so >&2 && exit 7 failed: so \(exit status 7\)",
        "lines above",
    ),
    "silent run": (
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN exit 7\n",
        r"line 3: RUN exit 7 failed: .*exit code: 7",
        "lines above",
    ),
    "requirement": (
        _SHORT + "RUN pip install no-such-library==1\n",
        r"line 8: .*No matching distribution found for no-such-library==1",
        "correct no-such-library==1, or add the directory of its wheel to find-links",
    ),
    "copy": (
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY nowhere /\n",
        r"Dockerfile, line 3: COPY nowhere / failed: .*nowhere",
        "fix that line",
    ),
    "base": (
        "ARG BASE_IMAGE\nFROM localhost:9/no/such:1\n",
        r"Dockerfile, line 2: cannot get the base image localhost:9/no/such:1: .*refused",
        "another base image",
    ),
    "undeclared argument": ("FROM scratch\n", "has no ARG BASE_IMAGE", "`ARG BASE_IMAGE`"),
    "no project": (
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN true\n",
        r"the image does not have demo 1\.0\.0 installed",
        r"dist/\*\.whl",
    ),
    "no bigflow": (
        _SHORT.replace("/wheels/bigflow*.whl ", ""),
        "the image has no bigflow",
        r"requirements\.txt should name bigflow-backend",
    ),
    "no python on PATH": (
        _SHORT + "ENV PATH=/nowhere\n",
        "the image has no `python` on its PATH",
        "PATH",
    ),
    "a python that does not run": (
        _SHORT + "RUN echo 'echo broken >&2; exit 3' > /usr/bin/run && chmod +x /usr/bin/run"
        " && rm /usr/bin/python && cp /usr/bin/run /usr/bin/python\n",
        "python does not run in the image: .*",
        "whose `python` is the project's",
    ),
}


# Each of the others is a build of its own, and takes seconds.
_QUICK_ERRORS = ("syntax", "run", "requirement", "undeclared argument", "no project")


@pytest.mark.parametrize("name", rest_slow(_ERRORS, quick=_QUICK_ERRORS))
def test_an_error(demo: Demo, name: str) -> None:
    dockerfile, message, hint = _ERRORS[name]
    demo.dockerfile(dockerfile)
    error = refused(demo)
    assert re.search(message, error.message), error.message
    assert re.search(hint, error.hint), error.hint


@pytest.mark.parametrize("name", rest_slow(["run", "no bigflow"], quick=["run"]))
def test_an_error_leaves_the_last_image(demo: Demo, name: str) -> None:
    demo.build()
    demo.dockerfile(_ERRORS[name][0])
    refused(demo)


def test_an_error_after_the_tag_moves_it_back(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    demo.build()
    monkeypatch.setattr("bigflow_backend.image.imageinfo.write_imageinfo", full)
    before = demo.state()
    with pytest.raises(UserError, match="No space left"):
        demo.build(wheel=demo.wheel(text="second"))
    assert demo.state() == before


def test_an_old_wheel_in_the_image(demo: Demo, tmp_path: Path) -> None:
    make_wheel(tmp_path / "old", "demo", "0.9", {"demo/__init__.py": ""})
    demo.dockerfile(_SHORT.replace("/dist/*.whl", "/wheels/demo*.whl"))
    find_links = (*demo.options.find_links, tmp_path / "old")
    error = refused(demo, find_links=find_links)
    assert error.message == "the image has demo 0.9 installed, not 1.0.0"


@pytest.mark.slow
def test_a_build_that_prints_nothing(demo: Demo) -> None:
    demo.dockerfile("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN sleep 600\n")
    with pytest.raises(UserError, match="the build printed nothing for 2 seconds") as raised:
        demo.build(idle_timeout=2)
    assert "idle-timeout" in raised.value.hint


@pytest.mark.slow
def test_a_build_that_takes_too_long(demo: Demo) -> None:
    loop = "while true; do echo working; sleep 0.1; done"
    demo.dockerfile(f"ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}}\nRUN {loop}\n")
    with pytest.raises(UserError, match="took longer than 2 seconds"):
        demo.build(timeout=2)


@pytest.fixture
def server() -> Iterator[int]:
    """The port of a web server on this machine's loopback."""
    with HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield found.server_port
        found.shutdown()
        thread.join()


def test_network(demo: Demo, server: int) -> None:
    if not str(demo.engine.api.base_url).startswith("http+docker://"):
        pytest.skip("the engine is on another machine")
    program = f"import urllib.request as r; r.urlopen('http://127.0.0.1:{server}')"
    demo.dockerfile(f'{_SHORT}RUN python3 -c "{program}"\n')
    error = refused(demo, network="none")
    assert "Connection refused" in error.message
    demo.build(network="host")


def test_no_network(demo: Demo) -> None:
    demo.dockerfile(
        "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n"
        "RUN python3 -c \"import urllib.request as r; r.urlopen('http://example.invalid')\"\n"
    )
    error = refused(demo, network="none")
    assert 'network = "host" in [tool.bigflow.image]' in error.hint


@pytest.mark.slow
def test_an_engine_that_stops_in_the_middle(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    demo.build()
    before = demo.state()
    with private_engine() as doomed:
        if doomed.url is None:
            pytest.skip(doomed.note)
        monkeypatch.setenv("DOCKER_HOST", doomed.url)
        with contextlib.closing(docker.from_env()) as client:
            make_base_image(client, str(demo.options.base_image))

        def stop_while_it_runs(line: str) -> None:
            if line.endswith(" started") and doomed.pid is not None:
                os.kill(doomed.pid, signal.SIGTERM)

        command = "trap 'exit 143' TERM; echo started; sleep 600 & wait"
        demo.dockerfile(f"ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}}\nRUN {command}\n")
        with sockets_may_leak():
            with pytest.raises(UserError) as raised:
                demo.build(say=stop_while_it_runs)
            assert "the Docker Engine stopped while building" in raised.value.message
            del raised  # it refers to the socket
    monkeypatch.undo()
    assert demo.state() == before


@pytest.fixture
def cut(engine: DockerClient, tmp_path: Path) -> Iterator[Cut]:
    """The engine behind a connection that can be cut."""
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not host.startswith("unix://"):
        pytest.skip("the engine is on another machine")
    with Cut(tmp_path / "socket", host.removeprefix("unix://")) as proxy:
        yield proxy


@pytest.mark.parametrize("at", ["it runs", "exporting"])
def test_a_connection_that_breaks(
    demo: Demo, cut: Cut, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    demo.build()
    before = demo.state()

    def cut_there(line: str) -> None:
        if at in line:
            cut.now()

    demo.dockerfile(_SHORT + f"RUN echo {at} && sleep 1\n")
    with monkeypatch.context() as patch:
        patch.setenv("DOCKER_HOST", f"unix://{cut.path}")
        with sockets_may_leak():
            with pytest.raises(UserError) as raised:
                demo.build(say=cut_there, export_tar=True)
            assert "the Docker Engine stopped while" in raised.value.message
            assert "repeat the build" in raised.value.hint
            del raised  # it refers to the socket
    assert demo.state() == before


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("unix:///nowhere/docker.sock", "No such file or directory"),
        ("tcp://127.0.0.1:9", "Connection refused"),
        ("nonsense", "port is required"),
    ],
)
def test_no_engine(demo: Demo, monkeypatch: pytest.MonkeyPatch, host: str, message: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with sockets_may_leak():
        error = refused(demo)
    assert error.message.startswith(f"no Docker Engine answers at {host}: ")
    assert message in error.message
    assert "DOCKER_HOST" in error.hint


def test_no_dockerfile(demo: Demo) -> None:
    demo.project.dockerfile.unlink()
    assert "there is no Dockerfile in" in refused(demo).message


def test_an_upper_case_repository(demo: Demo) -> None:
    with pytest.raises(UserError, match="upper-case"):
        build_image(
            demo.project,
            demo.wheel(),
            repository="Team/Demo",
            version=ProjectVersion(text="1.0.0", source="the test", commit=None),
            settings=demo.options,
        )
    assert not (demo.project.root / ".image").exists()
