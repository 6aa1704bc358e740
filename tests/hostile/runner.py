"""The one runner of the hostile tests: a table has the names and the inputs, this has the checks.

ROWS = {"a FIFO": write_fifo, ...}              # each writes its input into the scratch directory

@pytest.mark.parametrize("name", ROWS)
def test_files(scratch: Scratch, name: str) -> None:
    attempt(scratch, "build-package", *ROWS[name](scratch))
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from support.distribution import make_wheel
from support.images import small_base
from support.projects import write_project

_LAUNCHER = Path(__file__).with_name("launcher.py")
MEMORY = 300 * 1024 * 1024
"""The most that a process may take, in bytes."""
PATIENCE = 60.0
"""Seconds until a command counts as hanging, on a busy machine."""
_LONGEST_LINE = 2_000
_LARGE = 2**24


@dataclass(frozen=True)
class Outcome:
    """The end of a command. ``status`` is None if it had to be killed."""

    status: int | None
    stdout: str
    stderr: str
    peak: int
    duration: float
    left: list[str]

    @property
    def error(self) -> list[str]:
        """The problem and the fix."""
        return self.stderr[self.stderr.index("bigflow: error: ") :].splitlines()


@dataclass(frozen=True)
class Scratch:
    """All directories that a command may use, and a neighbour that it must not touch."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def project(self) -> Path:
        return self.root / "project"

    @property
    def input(self) -> Path:
        """A directory for base images, wheels, and whatever else the project does not hold."""
        return self.root / "input"

    @property
    def uv_cache(self) -> Path:
        return self.root / "uv"

    @property
    def temporary(self) -> Path:
        """TMPDIR of the command. It is empty at the end."""
        return self.root / "tmp"

    @property
    def outside(self) -> Path:
        return self.root.with_name("outside")

    def image_arguments(self, base: str | None = None) -> list[str]:
        """Return options that build an image on ``base`` without engine and index."""
        wheels = self.input / "wheels"
        make_wheel(wheels, "bigflow-backend", "0.1.0", {"bigflow/__main__.py": ""})
        version = platform.python_version()
        base = base or small_base(self.input / "good-base.tar", version=version)
        return [
            *("--builder", "layered", "--platform", "linux/amd64"),
            *("--base-image", base, "--find-links", str(wheels)),
        ]


def make_scratch(root: Path) -> Scratch:
    """Write a good project, and a neighbour with files that an escape would hit."""
    scratch = Scratch(
        root / "scratch",
        {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(root / "scratch/home"),
            "TMPDIR": str(root / "scratch/tmp"),
            "BIGFLOW_CACHE": str(root / "scratch/cache"),
            "UV_CACHE_DIR": str(root / "scratch/uv"),
            "BIGFLOW_VERSION": "1.0.0",
            "LANG": "C.UTF-8",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    )
    for name in ("home", "tmp", "cache", "input"):
        (scratch.root / name).mkdir(parents=True)
    write_project(
        scratch.project,
        {
            "resources/requirements.txt": "bigflow-backend\n",
            "pipelines/workflow.py": (
                "import bigflow\n"
                "class Greet(bigflow.Job):\n"
                "    def __init__(self):\n"
                "        super().__init__('greet')\n"
                "    def execute(self, context):\n"
                "        print('hello')\n"
                "daily = bigflow.Workflow('daily', [Greet()])\n"
            ),
            "deployment_config.py": (
                "from bigflow.configuration import DeploymentConfig\n"
                "deployment_config = DeploymentConfig(name='dev', properties={\n"
                "    'docker_repository': 'registry.example.com/team/demo'})\n"
            ),
        },
    )
    for name in ("bin/python3", "lib/python3.11/os.py", "etc/passwd"):
        path = scratch.outside / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("bait\n", "utf-8")
    return scratch


def attempt(
    scratch: Scratch,
    *arguments: str,
    succeeds: bool | None = False,
    patience: float = PATIENCE,
    memory: int = MEMORY,
    **environment: str,
) -> Outcome:
    """Run ``bigflow ARGUMENTS`` in the project, and check all that holds for hostile input.

    ``succeeds`` says which end is right: an error of two lines with exit status 1, exit status 0,
    or (None) one of both.
    """
    before, neighbours = _content(scratch.project), _listing(scratch)
    outcome = _run(scratch, arguments, patience, environment)
    shown = f"{outcome.stdout}\n{outcome.stderr}"
    assert outcome.status is not None, f"it hangs:\n{shown}"
    assert outcome.status in {False: {1}, True: {0}, None: {0, 1}}[succeeds], shown
    assert "Traceback" not in shown, shown
    if outcome.status:
        _check_error(outcome)
        assert _content(scratch.project) == before, f"the project was changed:\n{shown}"
    for line in shown.splitlines():
        assert line.isprintable(), f"control characters are printed raw: {line!r}"
    assert outcome.peak <= memory, f"{outcome.peak:,} bytes of memory"
    assert outcome.left == [], f"processes are left: {outcome.left}"
    assert _listing(scratch) == neighbours, "something outside the scratch directory was changed"
    assert list(scratch.temporary.iterdir()) == [], "temporary files are left"
    return outcome


def _check_error(outcome: Outcome) -> None:
    lines = outcome.error
    assert len(lines) == 2, outcome.stderr
    assert lines[1].startswith("  "), outcome.stderr
    assert max(map(len, lines)) <= _LONGEST_LINE, outcome.stderr


def _run(
    scratch: Scratch, arguments: tuple[str, ...], patience: float, environment: dict[str, str]
) -> Outcome:
    result = scratch.root / "result.json"
    command = [sys.executable, "-m", "bigflow", *arguments]
    with (scratch.root / "out").open("w+b") as out, (scratch.root / "err").open("w+b") as err:
        subprocess.run(
            [sys.executable, "-I", "-S", _LAUNCHER, result, str(patience), *command],
            cwd=scratch.project,
            env={**scratch.environment, **environment},
            stdout=out,
            stderr=err,
            check=True,
        )
        out.seek(0)
        err.seek(0)
        printed = [file.read(2**20).decode("utf-8", "replace") for file in (out, err)]
    return Outcome(stdout=printed[0], stderr=printed[1], **json.loads(result.read_text("utf-8")))


def _content(project: Path) -> dict[str, str]:
    """Return path -> kind and content of everything in the project, but the bytecode of modules."""
    paths = (path for path in sorted(project.rglob("*")) if "__pycache__" not in path.parts)
    return {str(path): _state(path) for path in paths}


def _state(path: Path) -> str:
    if path.is_symlink():
        return f"link to {path.readlink()}"
    if not path.is_file():
        return f"mode {path.lstat().st_mode:o}"
    status = path.stat()
    if status.st_size > _LARGE:
        return f"{status.st_size} bytes, changed at {status.st_mtime_ns}"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _listing(scratch: Scratch) -> dict[str, tuple[int, ...]]:
    """Return the state of what an escape would change: the neighbour, the host's Python, ``/``."""
    library = Path(os.__file__).parent
    places = [
        *scratch.outside.rglob("*"),
        *scratch.root.parent.iterdir(),
        *library.glob("*.py"),
        *Path(sys.base_prefix, "bin").iterdir(),
    ]
    states = {str(path): path.lstat() for path in places if path != scratch.root}
    listed = {name: (s.st_ino, s.st_size, s.st_mtime_ns) for name, s in states.items()}
    return {**listed, "/": tuple(sorted(map(hash, os.listdir("/"))))}  # noqa: PTH208
