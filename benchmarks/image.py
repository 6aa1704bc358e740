"""The image: the embedded builder and the Docker Engine on the same base, in the same run.

    PYTHONPATH=tests python benchmarks/image.py [--rounds N]

Takes the engine that is reachable, or starts a private one (root on Debian). The base is of this
machine's packages; dependencies come from a directory, so no index has a part in it. Each round
does every measure once; a figure is the median, in seconds of wall time, for the engine works in
processes of its own. Each measure of a changed project changes one line first.

docs/image.md has a table that it printed. What "the image alone" leaves behind differs: the engine
has the image then, the embedded builder has its layers in the user's cache. The peer that is still
missing here is BigFlow 1.11.3 with its template.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import docker
from processes import in_turn
from uv import find_uv_bin

from bigflow_backend.image import ImageOptions, build_image
from bigflow_backend.image.dockerfile import STANDARD
from bigflow_backend.project import read_project
from bigflow_backend.version import ProjectVersion
from support.base_image import make_base_image
from support.engine import docker_engine
from support.registry import started_registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_REPOSITORY = Path(__file__).parents[1]
_BASE = "bigflow-benchmark/base:1"
_VERSION = ProjectVersion(text="1.0.0", source="the benchmark", commit="c0ffee")
# In a process of its own, as frontends and `bigflow build` call it.
_HOOK = "import bigflow_backend; bigflow_backend.build_wheel('dist')"
_FILES = {
    "Dockerfile": STANDARD.read_text("utf-8"),
    "pyproject.toml": (
        '[build-system]\nrequires = ["bigflow-backend"]\nbuild-backend = "bigflow_backend"\n'
        '[project]\nname = "demo"\nversion = "1.0.0"\n'
    ),
    "resources/requirements.txt": "bigflow-backend\n",
    **{f"demo/module_{n}.py": f"def answer():\n    return {n}\n" for n in range(30)},
    "demo/__init__.py": "",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        work = Path(name)
        os.environ["BIGFLOW_CACHE"] = str(work / "cache")
        found = stack.enter_context(docker_engine())
        if found.url is None:
            raise SystemExit(found.note)
        bench = stack.enter_context(prepared(work))
        times = in_turn(bench.measures(), rounds)
        print_table(times, bench.pushed_bytes(work))


@dataclass
class Bench:
    """A project, and what its images are made with."""

    root: Path
    options: dict[str, ImageOptions]
    """Of each builder."""
    counter: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def change(self) -> None:
        line = f"NUMBER = {next(self.counter)}\n"
        (self.root / "demo" / "__init__.py").write_text(line, "utf-8")

    def wheel(self) -> Path:
        shutil.rmtree(self.root / "dist", ignore_errors=True)
        (self.root / "dist").mkdir()
        command = [sys.executable, "-c", _HOOK]
        subprocess.run(command, cwd=self.root, check=True, stdout=subprocess.DEVNULL)
        (wheel,) = (self.root / "dist").iterdir()
        return wheel

    def image(self, wheel: Path, builder: str, *, tar: bool) -> float:
        """The seconds for the image alone, and its archive if that is wanted."""
        options = dataclasses.replace(self.options[builder], export_tar=tar)
        start = time.perf_counter()
        build_image(
            read_project(self.root),
            wheel,
            repository=f"bigflow-benchmark/{builder}",
            version=_VERSION,
            options=options,
            say=lambda _line: None,
        )
        return time.perf_counter() - start

    def unchanged(self, builder: str, *, tar: bool) -> float:
        (wheel,) = (self.root / "dist").iterdir()
        self.image(wheel, builder, tar=False)  # the other measures have changed it
        return self.image(wheel, builder, tar=tar)

    def changed(self, builder: str) -> float:
        self.change()
        return self.image(self.wheel(), builder, tar=False)

    def wheel_to_tar(self, builder: str) -> float:
        self.change()
        start = time.perf_counter()
        self.image(self.wheel(), builder, tar=True)
        return time.perf_counter() - start

    def measures(self) -> dict[str, Callable[[], float]]:
        self.wheel()
        return {
            f"{what}, {builder}": measure
            for builder in self.options
            for what, measure in {
                "one line changed: the image alone": partial(self.changed, builder),
                "one line changed: wheel, image and tar": partial(self.wheel_to_tar, builder),
                "nothing changed: the image alone": partial(self.unchanged, builder, tar=False),
                "nothing changed: image and tar": partial(self.unchanged, builder, tar=True),
            }.items()
        }

    def pushed_bytes(self, work: Path) -> dict[str, int]:
        """What the embedded builder sends to an empty registry, and then."""
        sent: dict[str, int] = {}
        home = work / "registry"
        home.mkdir()
        with started_registry(home) as registry:
            for what in ("everything", "one line changed", "nothing changed"):
                if what == "one line changed":
                    self.change()
                said: list[str] = []
                build_image(
                    read_project(self.root),
                    self.wheel(),
                    repository=f"{registry.address}/demo",
                    version=_VERSION,
                    options=dataclasses.replace(
                        self.options["embedded"], push=True, export_tar=False
                    ),
                    say=said.append,
                )
                sent[what] = int(re.findall(r", (\d+) bytes sent", "\n".join(said))[0])
        return sent


@contextlib.contextmanager
def prepared(work: Path) -> Iterator[Bench]:
    """The project and its base, in the engine and as an archive; the images go at the end."""
    root, wheels, archive = work / "project", work / "wheels", work / "base.tar"
    for name, text in _FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    # setuptools writes beside the sources; a copy keeps it away from this tree.
    source = shutil.copytree(_REPOSITORY / "src", work / "bigflow-backend" / "src").parent
    for path in (p for p in _REPOSITORY.iterdir() if p.is_file() and not p.name.startswith(".")):
        shutil.copy2(path, source)
    subprocess.run(
        [find_uv_bin(), "build", "-q", "--wheel", "--no-build-isolation", "-p", sys.executable,
         "--out-dir", wheels, source],
        check=True,
    )  # fmt: skip
    with contextlib.closing(docker.from_env(timeout=60)) as client:
        make_base_image(client, _BASE)
        with archive.open("wb") as file:
            file.writelines(client.api.get_image(_BASE))
        common = ImageOptions(find_links=(wheels,), network="host")
        try:
            yield Bench(
                root,
                {
                    "engine": dataclasses.replace(common, builder="engine", base_image=_BASE),
                    "embedded": dataclasses.replace(
                        common, builder="embedded", base_image=f"docker-archive:{archive}"
                    ),
                },
            )
        finally:
            for image in client.images.list("bigflow-benchmark/engine"):
                client.images.remove(image.id, force=True)


def print_table(times: dict[str, float], sent: dict[str, int]) -> None:
    print("| seconds | engine | embedded | ratio |\n|---|---|---|---|")
    for what in dict.fromkeys(name.rpartition(", ")[0] for name in times):
        engine, embedded = times[f"{what}, engine"], times[f"{what}, embedded"]
        print(f"| {what} | {engine:.3f} | {embedded:.3f} | {embedded / engine:.3f} |")
    print("\n| pushed by the embedded builder | bytes |\n|---|---|")
    for what, count in sent.items():
        print(f"| {what} | {count:,} |")


if __name__ == "__main__":
    main()
