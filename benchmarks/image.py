"""Images: from the source to the registry, by what a user types.

Each round starts with a base of its own, empty caches, and an empty registry for each peer. Then it
builds and pushes four times: first build, one line changed, one pin changed, nothing changed. The
engine works in other processes, so control groups count the CPU time.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import pytest
from environments import BIGFLOW, peer_versions, peers
from measure import Cost, Measure, SkippedError, in_rounds, run
from results import OURS

from bigflow_backend.image.dockerfile import STANDARD
from support.base_image import make_base_image
from support.debian import DebianError
from support.engine import docker_engine
from support.registry import installed, started_registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from docker import DockerClient
    from measure import Options
    from results import Row

    from support.registry import Registry

PEERS = ("layered builder", "engine builder", "docker build", "BigFlow")
CASES = ("first build", "one line changed", "one pin changed", "nothing changed")
_BASE = "bigflow-benchmark/base"
# BigFlow 1.11.3 requires this numpy, and pandas 3 does not support it.
_PROJECTS = {
    "small": ("six==1.16.0",),
    "large": ("numpy==1.26.4", "pandas==2.2.3", "pyarrow==20.0.0", "six==1.16.0"),
}
_WORKFLOW = """\
from bigflow import Workflow


class Report:
    id = "report"

    def execute(self, context):
        pass


workflow = Workflow(workflow_id="reports", definition=[Report()])
"""
_MODULES = {
    **{f"demo/module_{n}.py": f"def answer():\n    return {n}\n" for n in range(30)},
    "demo/__init__.py": "",
    "demo/workflow.py": _WORKFLOW,
}
_CONFIG = """\
from bigflow.configuration import DeploymentConfig

deployment_config = DeploymentConfig("dev", {{"docker_repository": {0!r}}})
"""
_OURS = {
    "project_setup.py": 'from bigflow_backend import setup\n\nPROJECT_NAME = "demo"\n\n'
    'if __name__ == "__main__":\n    setup(name=PROJECT_NAME, version="1.0.0")\n',
    "Dockerfile": STANDARD.read_text("utf-8"),
}
_BIGFLOW = """\
import bigflow.build

bigflow.build.setup(name="demo", version="1.0.0", docker_repository={0!r})
"""
# Plain Docker as in its own guide for Python: first the dependencies, then the sources.
_PLAIN = """\
FROM {base}
WORKDIR /app
COPY wheels wheels
COPY resources/requirements.txt .
RUN pip install --no-cache-dir --find-links wheels -r requirements.txt
COPY demo demo
"""
# RUN steps of a private engine need the network of the host, and BigFlow has no option for it.
_DOCKER = """\
#!/bin/sh
if [ "$1" = build ]; then
    shift
    exec {docker} build --network host "$@"
fi
exec {docker} "$@"
"""


@dataclass(frozen=True)
class Machine:
    """The engine, the base image and the environments that all projects share."""

    work: Path
    client: DockerClient
    archive: Path
    """The base image as an archive. The engine has it, too."""
    pythons: Mapping[str, Path]
    """The environments of this project and of BigFlow."""
    wheels: Path
    """A directory with the wheel of bigflow-backend."""
    clock: CpuClock | None

    def new_base(self, number: int) -> str:
        """Make a base that no engine has in its cache. Return its name."""
        dockerfile = f"FROM {_BASE}:0\nLABEL round={number}\n".encode()
        name = f"{_BASE}:{number}"
        self.client.images.build(fileobj=io.BytesIO(dockerfile), tag=name, rm=True)
        return name


class CpuClock:
    """CPU seconds of this process, of a private engine and of its containers.

    It moves this process into a control group, before the engine starts.
    """

    def __init__(self) -> None:
        root = Path("/sys/fs/cgroup")
        self._version_2 = (root / "cgroup.controllers").exists()
        name = f"bigflow-benchmark-{os.getpid()}"
        self._group = root / name if self._version_2 else root / "cpuacct" / name
        own = self._group / "benchmark"
        own.mkdir(parents=True)
        (own / "cgroup.procs").write_text(str(os.getpid()), "ascii")
        self.engine_options = ("--cgroup-parent", f"/{name}/containers")

    def close(self) -> None:
        """Leave the group and remove it."""
        (self._group.parent / "cgroup.procs").write_text(str(os.getpid()), "ascii")
        for path, _, _ in os.walk(self._group, topdown=False):
            with contextlib.suppress(OSError):  # a process is still there
                Path(path).rmdir()

    def __call__(self) -> float:
        """Return the seconds until now."""
        if self._version_2:
            return int((self._group / "cpu.stat").read_text("ascii").split()[1]) / 1e6
        return int((self._group / "cpuacct.usage").read_text("ascii")) / 1e9


@dataclass
class Project:
    """One project of one peer, and the registry that it pushes to."""

    machine: Machine
    peer: str
    requirements: Sequence[str]
    number: int
    registry: Registry
    base: str

    def __post_init__(self) -> None:
        self.root = self.machine.work / f"project-{self.number}"
        shutil.rmtree(self.root, ignore_errors=True)
        self.repository = f"{self.registry.address}/bigflow-benchmark"
        files = dict(_MODULES)
        if self.peer == "docker build":
            files["Dockerfile"] = _PLAIN.format(base=self.base)
        else:
            files["deployment_config.py"] = _CONFIG.format(self.repository)
            files |= self._bigflow_files() if self.peer == "BigFlow" else _OURS
        for name, text in files.items():
            self._write(name, text)
        if self.peer == "docker build":
            shutil.copytree(self.machine.wheels, self.root / "wheels")
        self.require(self.requirements)

    @property
    def image(self) -> str:
        """The name of the image."""
        return f"{self.repository}:1.0.0"

    def require(self, requirements: Sequence[str]) -> None:
        own = BIGFLOW[0] if self.peer == "BigFlow" else "bigflow-backend"
        self._write("resources/requirements.txt", "\n".join([own, *requirements, ""]))

    def change(self, case: str) -> None:
        """Make the change of a case."""
        if case == "one line changed":
            self._write("demo/__init__.py", "NUMBER = 1\n")
        elif case == "one pin changed":
            self.require([*self.requirements[:-1], "six==1.17.0"])

    def cost(self) -> Cost:
        """Build and push, and return the cost."""
        size, clock = _size(self.registry.storage), self.machine.clock
        cpu, start = clock() if clock else 0.0, time.perf_counter()
        for command in self.commands():
            run(command, self.root, self.variables())
        wall = time.perf_counter() - start
        used = clock() - cpu if clock else None
        return Cost(used, wall, _size(self.registry.storage) - size)

    def commands(self, *options: str) -> list[list[str]]:
        """Return what a user types. The options are those of the layered builder."""
        image = self.image
        if self.peer == "docker build":
            build = ["docker", "build", "--network", "host", "--tag", image, "."]
            return [build, ["docker", "push", image]]
        if self.peer == "BigFlow":
            build = ["bigflow", "build-image", "--no-export-image-tar"]
            return [["bigflow", "build-package"], build, ["docker", "push", image]]
        builder = self.peer.split()[0]
        base = self.base if builder == "engine" else f"docker-archive:{self.machine.archive}"
        command = ["bigflow", "build-image", "--push", "--no-export-image-tar"]
        command += ["--builder", builder, "--base-image", base, "--network", "host"]
        command += ["--find-links", str(self.machine.wheels)]
        return [[*command, *(options if builder == "layered" else ())]]

    def variables(self) -> dict[str, str]:
        """Return the variables of the commands: the environment, and caches of this round."""
        python = self.machine.pythons["BigFlow" if self.peer == "BigFlow" else OURS]
        caches = self.root.with_name(f"{self.root.name}-caches")
        return {
            "PATH": f"{python.parent}:{os.environ['PATH']}",
            "PYTHONPATH": "",
            "BIGFLOW_CACHE": str(caches / "bigflow"),
            "UV_CACHE_DIR": str(caches / "uv"),
        }

    def _bigflow_files(self) -> dict[str, str]:
        # The template of `bigflow start-project`, without its apt-get step: the base has no apt,
        # and the step installs nothing.
        python = self.machine.pythons["BigFlow"]
        place = run(
            [python, "-I", "-c", "import bigflow.scaffold as s; print(s.__path__[0])"],
            self.machine.work,
        )
        template = Path(place.strip(), "templates", "new-project", "Dockerfile").read_text("utf-8")
        text = re.sub(r"^RUN apt-get.*?lists/\*\n", "", template, flags=re.DOTALL | re.MULTILINE)
        text = re.sub(r"^FROM .*", f"FROM {self.base}", text, flags=re.MULTILINE)
        return {"setup.py": _BIGFLOW.format(self.repository), "Dockerfile": text}

    def _write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


class Rounds:
    """The projects of the current round. A first build begins a round of its peer."""

    def __init__(self, machine: Machine, stack: contextlib.ExitStack) -> None:
        self._machine, self._stack, self._count = machine, stack, 0
        self._projects: dict[tuple[str, str], Project] = {}

    def cost(self, kind: str, peer: str, case: str) -> Cost:
        """Return the cost of a case. The cases of a peer are run in their order."""
        if case == CASES[0]:
            self._projects[kind, peer] = self.new_project(kind, peer)
        project = self._projects[kind, peer]
        project.change(case)
        return project.cost()

    def new_project(self, kind: str, peer: str) -> Project:
        """Create a project, with an empty registry."""
        self._count += 1
        home = self._machine.work / f"registry-{self._count}"
        home.mkdir()
        registry = self._stack.enter_context(started_registry(home))
        base = self._machine.new_base(self._count)
        return Project(self._machine, peer, _PROJECTS[kind], self._count, registry, base)


def measured(work: Path, options: Options) -> tuple[list[Row], dict[str, str]]:
    """Return the rows, and the versions of the peers."""
    with machine(work) as shared, contextlib.ExitStack() as stack:
        rows: list[Row] = []
        rounds = Rounds(shared, stack)
        for kind in ("small",) if options.tiny else _PROJECTS:
            measures = [
                Measure(kind, case, peer, partial(rounds.cost, kind, peer, case))
                for peer in PEERS
                for case in CASES
            ]
            count = options.rounds if kind == "small" else (options.rounds + 2) // 3
            rows += in_rounds(measures, count, warm_up=False)
        return rows, image_versions(shared)


def image_versions(shared: Machine) -> dict[str, str]:
    """Return the versions of the peers that use the engine."""
    engine = str(shared.client.version()["Version"])
    return {**peer_versions(shared.pythons), "Docker Engine": engine}


@contextlib.contextmanager
def machine(work: Path) -> Iterator[Machine]:
    """Start what all projects share. Remove all images at the end.

    :raises SkippedError: where an engine, a registry or the base is missing.
    """
    with contextlib.ExitStack() as stack:
        clock = None
        with contextlib.suppress(OSError):  # not root, or without control groups
            clock = stack.enter_context(contextlib.closing(CpuClock()))
        engine = stack.enter_context(docker_engine(*(clock.engine_options if clock else ())))
        if engine.url is None:
            raise SkippedError(engine.note)
        client = stack.enter_context(contextlib.closing(docker.from_env(timeout=600)))
        try:
            installed("docker-registry", package="docker-registry")
            make_base_image(client, f"{_BASE}:0")
        except (DebianError, pytest.skip.Exception, pytest.fail.Exception) as reason:
            raise SkippedError(str(reason)) from reason
        stack.callback(_remove_images, client)
        archive = work / "base.tar"
        with archive.open("wb") as file:
            file.writelines(client.api.get_image(f"{_BASE}:0"))
        pythons = peers(work)
        docker_program = pythons["BigFlow"].with_name("docker")
        docker_program.write_text(_DOCKER.format(docker=shutil.which("docker")), "utf-8")
        docker_program.chmod(0o755)
        # The containers of an engine that runs already are counted with those of others.
        used = clock if engine.is_private else None
        yield Machine(work, client, archive, pythons, work / "wheels", used)


def _remove_images(client: DockerClient) -> None:
    for tag in [tag for image in client.images.list() for tag in image.tags]:
        if re.match(r"(localhost:\d+/)?bigflow-benchmark[:/]", tag):
            client.images.remove(tag, force=True)


def _size(storage: Path) -> int:
    return sum(path.stat().st_size for path in storage.glob("docker/registry/v2/blobs/**/data"))
