"""Images: the times of both builders and of BigFlow 1.11.3, on the same base image.

    PYTHONPATH=tests python benchmarks/image.py [--rounds N] [--changes] [--small] [--cpu]

It uses a running engine, or starts a private one (as root, on Debian). The base image has packages
of this machine. There are two projects: one has only its runtime as a dependency, the other has
numpy, pandas, pyarrow and six from the configured package index.

Each round runs every measure once. A figure is the median in seconds of wall time, because the
engine works in other processes. With ``--cpu`` it is CPU time, also that of a private engine. Each
measure of a changed project first changes one line. "The image alone" ends with the image in the
engine, or with its layers in the cache of the layered builder.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import docker
from bigflow_peer import BigFlow, bigflow_project
from changed_pins import PINS, print_changed_pins
from clock import all_cpu, now
from cold_start import print_cold_start
from environments import own_wheel
from processes import in_turn

from bigflow_backend.image.dockerfile import STANDARD
from bigflow_backend.project.project import read_project
from bigflow_backend.project.settings import ImageSettings
from bigflow_backend.version import ProjectVersion
from support.base_image import make_base_image
from support.builds import build_image
from support.engine import docker_engine
from support.registry import started_registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from docker import DockerClient

    from bigflow_backend.image.image import PublishedImage

_BASE = "bigflow-benchmark/base:1"
_VERSION = ProjectVersion(text="1.0.0", source="the benchmark", commit="c0ffee")
# Frontends and `bigflow build` also call it in a process of its own.
_HOOK = "import bigflow_backend; bigflow_backend.build_wheel('dist')"
_MODULES = {
    **{f"demo/module_{n}.py": f"def answer():\n    return {n}\n" for n in range(30)},
    "demo/__init__.py": "",
}
_FILES = {
    **_MODULES,
    "Dockerfile": STANDARD.read_text("utf-8"),
    "pyproject.toml": (
        '[build-system]\nrequires = ["bigflow-backend"]\nbuild-backend = "bigflow_backend"\n'
        '[project]\nname = "demo"\nversion = "1.0.0"\n'
    ),
}
_PROJECTS = {
    "a project without dependencies": (),
    "a project with numpy, pandas and pyarrow": tuple(f"{n}=={v}" for n, v in PINS.items()),
}
_ONE_LINE = "one line changed: the image alone"
_TO_TAR = "one line changed: wheel, image and tar"
_UNCHANGED = "nothing changed: the image alone"
_UNCHANGED_TAR = "nothing changed: image and tar"
# Build in a process of its own, and print its peak resident size in kB. (`ru_maxrss` can be the
# size of the parent process.)
_PEAK = """\
import sys
from pathlib import Path
from bigflow_backend.project.settings import ImageSettings
from support.builds import build_image
from bigflow_backend.project.project import read_project
from bigflow_backend.version import ProjectVersion

root, wheel, repository, base, links = sys.argv[1:]
build_image(
    read_project(Path(root)), Path(wheel), repository=repository,
    version=ProjectVersion(text="1.0.0", source="the benchmark", commit="c0ffee"),
    settings=ImageSettings(
        builder="layered", base_image=base, find_links=(links,), push=True, load=True
    ),
    say=lambda _line: None,
)
status = Path("/proc/self/status").read_text()
print(status.partition("VmHWM:")[2].split()[0])
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--changes", action="store_true", help="only the table of changed pins")
    parser.add_argument("--cpu", action="store_true", help="CPU seconds, of a private engine too")
    parser.add_argument(
        "--small", action="store_true", help="only the project without dependencies"
    )
    options = parser.parse_args()
    if options.cpu:
        all_cpu()
    rounds = options.rounds
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        work = Path(name)
        os.environ["BIGFLOW_CACHE"] = str(work / "cache")
        found = stack.enter_context(docker_engine())
        if found.url is None:
            raise SystemExit(found.note)
        client = stack.enter_context(contextlib.closing(docker.from_env(timeout=600)))
        machine = stack.enter_context(prepared(work, client))
        for number, (title, requirements) in enumerate(_PROJECTS.items()):
            if (options.changes and not requirements) or (options.small and requirements):
                continue
            bench = make_bench(machine, f"project-{number}", requirements)
            print(f"\n{title}\n")
            bench.first_builds()
            if not options.changes:
                print_table(in_turn(bench.measures(), rounds))
                bench.print_layers()
                bench.print_pushed(work / f"registry-{number}")
            print(f"\npeak memory of a first build: {bench.peak_memory():.0f} MB")
            if requirements:
                print_changed_pins(bench, work, rounds)
        if options.changes:
            return
        image = make_bench(machine, "project-0", ()).loaded()
        print_cold_start(client, image, rounds)


@dataclass(frozen=True)
class Machine:
    """The common inputs of the projects."""

    work: Path
    archive: Path
    """The base image as an archive. The engine has it, too."""
    wheels: Path
    """A directory with the wheel of bigflow-backend."""


@dataclass
class Bench:
    """A project, the settings of its images, and the same project for BigFlow."""

    root: Path
    options: dict[str, ImageSettings]
    """The settings of each builder."""
    bigflow: BigFlow
    counter: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def change(self) -> None:
        line = f"NUMBER = {next(self.counter)}\n"
        for root in (self.root, self.bigflow.root):
            (root / "demo" / "__init__.py").write_text(line, "utf-8")

    def wheel(self) -> Path:
        shutil.rmtree(self.root / "dist", ignore_errors=True)
        (self.root / "dist").mkdir()
        command = [sys.executable, "-c", _HOOK]
        subprocess.run(command, cwd=self.root, check=True, stdout=subprocess.DEVNULL)
        return self.last_wheel()

    def last_wheel(self) -> Path:
        (wheel,) = (self.root / "dist").iterdir()
        return wheel

    def build(
        self, builder: str, *, repository: str | None = None, **options: bool
    ) -> tuple[PublishedImage, list[str]]:
        lines: list[str] = []
        image = build_image(
            read_project(self.root),
            self.last_wheel(),
            repository=repository or f"bigflow-benchmark/{builder}",
            version=_VERSION,
            settings=dataclasses.replace(self.options[builder], **options),
            say=lines.append,
        )
        return image, lines

    def image(self, builder: str, *, tar: bool) -> float:
        """Return the seconds for the image, and for its archive with ``tar``."""
        start = now()
        self.build(builder, export_tar=tar)
        return now() - start

    def unchanged(self, builder: str, *, tar: bool) -> float:
        self.image(builder, tar=False)  # the other measures changed the project
        return self.image(builder, tar=tar)

    def changed(self, builder: str) -> float:
        self.change()
        self.wheel()
        return self.image(builder, tar=False)

    def wheel_to_tar(self, builder: str) -> float:
        self.change()
        start = now()
        self.wheel()
        self.image(builder, tar=True)
        return now() - start

    def first_builds(self) -> None:
        """Print the time of the first builds. Indexes and caches differ, so there is no ratio."""
        self.wheel()
        self.bigflow.seconds("wheel")
        seconds = {builder: self.image(builder, tar=False) for builder in self.options}
        seconds["BigFlow"] = self.bigflow.seconds("image")
        figures = ", ".join(f"{name} {value:.1f}" for name, value in seconds.items())
        print(f"the first build with all dependencies, in seconds: {figures}\n")

    def measures(self) -> dict[str, Callable[[], float]]:
        ours = {
            (title, builder): measure
            for builder in self.options
            for title, measure in {
                _ONE_LINE: partial(self.changed, builder),
                _TO_TAR: partial(self.wheel_to_tar, builder),
                _UNCHANGED: partial(self.unchanged, builder, tar=False),
                _UNCHANGED_TAR: partial(self.unchanged, builder, tar=True),
            }.items()
        }
        theirs = {
            (_ONE_LINE, "BigFlow"): partial(self.theirs, "image", change=True),
            (_TO_TAR, "BigFlow"): partial(self.theirs, "wheel", "tar", change=True),
            (_UNCHANGED, "BigFlow"): partial(self.theirs, "image", change=False),
            (_UNCHANGED_TAR, "BigFlow"): partial(self.theirs, "tar", change=False),
            (_ONE_LINE, "docker build"): partial(self.docker_build, change=True),
            (_UNCHANGED, "docker build"): partial(self.docker_build, change=False),
        }
        return {", ".join(name): measure for name, measure in {**theirs, **ours}.items()}

    def theirs(self, *steps: str, change: bool) -> float:
        if change:
            self.change()
        if steps[0] != "wheel":
            # The measure is the image alone.
            self.bigflow.seconds(*(["wheel"] if change else ["image"]))
        return self.bigflow.seconds(*steps)

    def docker_build(self, *, change: bool) -> float:
        if change:
            self.change()
            self.bigflow.seconds("wheel")
        else:
            self.bigflow.docker_build()
        return self.bigflow.docker_build()

    def print_layers(self) -> None:
        """Print the layers that a changed line changes, and those that change without a change."""
        infos = []
        for change in (True, True, False):
            if change:
                self.change()
                self.wheel()
            image, _ = self.build("layered", export_tar=False)
            infos.append(json.loads(image.info.read_text("utf-8"))["layers"])
        before, after, again = infos
        changed = [new["created_by"] for old, new in zip(before, after, strict=True) if old != new]
        print(f"\nlayers that a changed line changes: {', '.join(changed)};", end=" ")
        print(f"without a change: {sum(a != b for a, b in zip(after, again, strict=True))}")

    def print_pushed(self, home: Path) -> None:
        """Print the bytes that a push sends to a registry, which is empty at first."""
        home.mkdir()
        print("\n| bytes pushed | BigFlow | layered |\n|---|---|---|")
        with started_registry(home) as registry:
            for step in ("everything", "one line changed", "nothing changed"):
                if step == "one line changed":
                    self.change()
                    self.wheel()
                    self.bigflow.seconds("wheel")
                if step != "nothing changed":
                    self.bigflow.seconds("image")
                theirs = self.bigflow.pushed_bytes(registry.address, registry.storage)
                _, lines = self.build(
                    "layered", repository=f"{registry.address}/demo", push=True, export_tar=False
                )
                ours = int(re.findall(r", (\d+) bytes sent", "\n".join(lines))[0])
                print(f"| {step} | {theirs:,} | {ours:,} |")

    def peak_memory(self) -> float:
        """Return the peak memory of our process in MB, with an empty cache and all targets."""
        options = self.options["layered"]
        with tempfile.TemporaryDirectory() as name, started_registry(Path(name)) as registry:
            repository = f"{registry.address}/peak"
            arguments = [self.root, self.last_wheel(), repository, options.base_image]
            done = subprocess.run(
                [sys.executable, "-c", _PEAK, *map(str, arguments), options.find_links[0]],
                env={**os.environ, "BIGFLOW_CACHE": f"{name}/cache"},
                check=True,
                stdout=subprocess.PIPE,
            )
        return int(done.stdout) / 1000

    def loaded(self) -> str:
        """Load the image of the layered builder into the engine. Return its name."""
        self.wheel()
        image, _ = self.build("layered", export_tar=False, load=True)
        return image.tag


@contextlib.contextmanager
def prepared(work: Path, client: DockerClient) -> Iterator[Machine]:
    """Create the base image, in the engine and as an archive. Remove all images at the end."""
    own_wheel(work / "wheels")
    make_base_image(client, _BASE)
    archive = work / "base.tar"
    with archive.open("wb") as file:
        file.writelines(client.api.get_image(_BASE))
    try:
        yield Machine(work, archive, work / "wheels")
    finally:
        for tag in [tag for image in client.images.list() for tag in image.tags]:
            if tag.startswith("bigflow-benchmark/"):
                client.images.remove(tag)


def make_bench(machine: Machine, name: str, requirements: Sequence[str]) -> Bench:
    root = machine.work / name
    lines = ["bigflow-backend", *requirements, ""]
    for file, text in {**_FILES, "resources/requirements.txt": "\n".join(lines)}.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text, "utf-8")
    common = ImageSettings(find_links=(str(machine.wheels),), network="host")
    bigflow = bigflow_project(
        machine.work,
        _MODULES,
        requirements,
        base=_BASE,
        repository=f"bigflow-benchmark/bigflow-{name}",
        variables=os.environ,
    )
    archive = f"docker-archive:{machine.archive}"
    options = {
        "engine": dataclasses.replace(common, builder="engine", base_image=_BASE),
        "layered": dataclasses.replace(common, builder="layered", base_image=archive),
    }
    return Bench(root, options, bigflow)


def print_table(times: dict[str, float]) -> None:
    columns = ("BigFlow", "docker build", "engine", "layered")
    print(f"| seconds | {' | '.join(columns)} | layered to BigFlow | to docker build |")
    print("|---|" + "---|" * (len(columns) + 2))
    for title in (_ONE_LINE, _TO_TAR, _UNCHANGED, _UNCHANGED_TAR):
        found = {column: times.get(f"{title}, {column}") for column in columns}
        row = ["" if value is None else f"{value:.3f}" for value in found.values()]
        ours = times[f"{title}, layered"]
        for peer in ("BigFlow", "docker build"):
            value = found[peer]
            row.append("" if value is None else f"{ours / value:.3f}")
        print(f"| {title} | " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
