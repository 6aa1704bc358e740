"""A project whose builds are killed, and what must hold after each end."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hostile.runner import Scratch, make_scratch

if TYPE_CHECKING:
    import signal
    from collections.abc import Sequence

COMMIT = ".bigflow-build-commit"
_PATIENCE = 120
_NAMES = {
    "project_setup.py", "pyproject.toml", "deployment_config.py", "pipelines", "resources", "test",
    "build",  # the report of the tests
}  # fmt: skip
_OUTPUTS = {"dist", ".image", ".dags"}
_TEST = "def test_a_file(tmp_path):\n    (tmp_path / 'file').write_text('text')\n"
# Python imports this module when it starts. It ends the process of the command, and none of its
# children, after a rename in the project.
_SITE = """\
import os, sys
if os.environ.pop("COUNT_RENAMES", None):
    number, after = map(int, os.environ.pop("KILL").split())
    project, rename, log = os.environ["KILLED_PROJECT"], os.rename, []
    def counted(source, target, **options):
        rename(source, target, **options)
        # build/ has the report of the tests, which is not an output.
        if os.fspath(target).startswith(project + "/") and "/build/" not in os.fspath(target):
            log.append(target)
            if len(log) == after:
                os.kill(os.getpid(), number)
    os.rename = os.replace = counted
"""


@dataclass
class KilledProject:
    """A project, and the versions of its builds."""

    scratch: Scratch
    arguments: list[str] = field(default_factory=list)
    builds: int = 0

    @property
    def root(self) -> Path:
        return self.scratch.project

    def start(
        self, command: Sequence[str] = (), *, prefix: Sequence[str] = (), **environment: str
    ) -> subprocess.Popen[str]:
        """Start a build of a new version, or another command of the project."""
        self.builds += 1
        words = command or ["-m", "bigflow", "build", "--oci-layout", *self.arguments]
        return subprocess.Popen(
            [*prefix, sys.executable, *words],
            cwd=self.root,
            env={
                **self.scratch.environment,
                "BIGFLOW_VERSION": f"1.0.{self.builds}",
                "KILLED_PROJECT": str(self.root),
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def build(self) -> None:
        """Build; the build must succeed, and leave nothing but its outputs."""
        process = self.start()
        _, errors = process.communicate(timeout=_PATIENCE)
        assert process.returncode == 0, errors
        assert "Traceback" not in errors, errors
        assert self.state() == f"1.0.{self.builds}"
        assert self.leftovers() == [], self.leftovers()

    def repair(self) -> str:
        """Run the cheapest command of the project. Return the version of all outputs."""
        process = self.start(["-m", "bigflow", "project-version"])
        _, errors = process.communicate(timeout=_PATIENCE)
        assert process.returncode == 0, errors
        assert "Traceback" not in errors, errors
        assert not (self.root / COMMIT).exists()
        return self.state()

    def state(self) -> str:
        """Return the version of all outputs; they must be whole and belong together."""
        (version,) = self._image_and_dags()
        assert {path.name for path in self.root.iterdir()} >= _OUTPUTS
        (info,) = (self.root / ".image").glob("imageinfo-*.json")
        wheel = json.loads(info.read_text("utf-8"))["wheel"]
        content = (self.root / "dist" / wheel["name"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == wheel["sha256"]
        for blob in (self.root / f".image/oci-layout-{version}/blobs/sha256").glob("*"):
            assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
        return version

    def versions(self) -> set[str]:
        """Return the versions of the image, the DAGs and the newest wheel that exist."""
        wheels = (self.root / "dist").glob("*.whl")
        numbers = [int(path.name.split("-")[1].rpartition(".")[2]) for path in wheels]
        return self._image_and_dags() | ({f"1.0.{max(numbers)}"} if numbers else set())

    def _image_and_dags(self) -> set[str]:
        found = {
            path.stem.removeprefix("imageinfo-")
            for path in (self.root / ".image").glob("imageinfo-*.json")
        }
        for path in (self.root / ".dags").glob("image_version.txt"):
            found.add(path.read_text("utf-8").strip().rpartition(":")[2])
        return found

    def leftovers(self) -> list[str]:
        """Return what a finished build must not leave: in project, TMPDIR and cache."""
        cache = self.scratch.root / "cache/blobs"
        return sorted(
            str(path)
            for directory in (
                self.root, self.scratch.temporary, cache / "partial", cache / "sessions"
            )
            for path in directory.iterdir()
            if directory != self.root or path.name not in _NAMES | _OUTPUTS
        )  # fmt: skip

    def damaged(self) -> list[str]:
        """Return the blobs of the cache that do not have the digest of their names."""
        blobs = (self.scratch.root / "cache/blobs/sha256").iterdir()
        return [b.name for b in blobs if hashlib.sha256(b.read_bytes()).hexdigest() != b.name]

    def processes(self) -> list[str]:
        """Return the command lines of processes that builds of this project have left."""
        mark = f"KILLED_PROJECT={self.root}".encode()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (process / "environ").read_bytes().split(b"\0"):
                    found.append((process / "cmdline").read_text("utf-8").replace("\0", " "))
        return found

    def no_process(self) -> None:
        """Wait a moment for the processes of a killed build; then none must be left."""
        deadline = time.monotonic() + 120
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert self.processes() == []


def make_killed_project(root: Path) -> KilledProject:
    """Return a project that was built once."""
    scratch = make_scratch(root)
    (scratch.project / "test").mkdir()
    (scratch.project / "test/test_pipelines.py").write_text(_TEST, "utf-8")
    project = KilledProject(scratch, scratch.image_arguments())
    (scratch.input / "site").mkdir()
    (scratch.input / "site/sitecustomize.py").write_text(_SITE, "utf-8")
    project.build()
    return project


def signalled(
    project: KilledProject, number: signal.Signals, seconds: float, command: Sequence[str] = ()
) -> tuple[int, str]:
    """Start a build, send it the signal after a time; return its status and stderr."""
    process = project.start(command)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    process.send_signal(number)
    _, errors = process.communicate(timeout=_PATIENCE)
    return process.returncode, errors


def killed_after(project: KilledProject, number: signal.Signals, renames: int) -> tuple[int, str]:
    """Build, and let the command send itself the signal after that rename in the project."""
    process = project.start(
        PYTHONPATH=str(project.scratch.input / "site"),
        COUNT_RENAMES="1",
        KILL=f"{int(number)} {renames}",
    )
    _, errors = process.communicate(timeout=_PATIENCE)
    return process.returncode, errors
