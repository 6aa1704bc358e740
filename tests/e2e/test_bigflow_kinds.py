"""Projects of every public kind of BigFlow 1.x, with every command, as they are.

The table of docs/how-to/migration.md has the results: ``BIGFLOW_WRITE_DOCS=1`` writes it. The DAGs
are compared with those that BigFlow 1.11.3 made (``support.bigflow_kinds`` records them).
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.bigflow_kinds import KINDS, RECORDED, START_TIME, dag_facts, write_kind
from support.distribution import make_wheel
from support.images import small_base

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.slow

_PAGE = Path(__file__).parents[2] / "docs/how-to/migration.md"
_BEGIN, _END = (
    "<!-- kinds: made by tests/e2e/test_bigflow_kinds.py -->\n",
    "<!-- end of kinds -->\n",
)
_BIGFLOW = ("-m", "bigflow")
COMMANDS: dict[str, tuple[str, ...]] = {
    "`build-package`": (*_BIGFLOW, "build-package"),
    "`build-dags`": (*_BIGFLOW, "build-dags", "--start-time", START_TIME),
    "`build-image`": (*_BIGFLOW, "build-image", "--builder=layered"),
    "`python -m build -n -x`": ("-m", "build", "-n", "-x", "-w", "-o", "built"),
    "`pip wheel`": ("-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "-w", "piped", "."),
    "`run`": (*_BIGFLOW, "run", "--job", "daily_rides.fetch_rides", "--runtime", "2026-01-01"),
}


@dataclass
class Results:
    """The results of the commands for a project of one kind."""

    root: Path
    done: dict[str, subprocess.CompletedProcess[str]] = field(default_factory=dict)

    def error(self, command: str) -> str | None:
        """Return the first error of a command, or None."""
        done = self.done[command]
        if not done.returncode:
            return None
        lines = (done.stderr + done.stdout).splitlines()
        ours = [line for line in lines if "bigflow: error: " in line]
        assert ours or "pyproject.toml" not in KINDS[self.kind], lines
        if not ours:
            return "setuptools does not know `project_setup.py`: write `[build-system]`, see step 2"
        text = ours[0].partition("bigflow: error: ")[2]
        return text.replace(f"{self.root}/", "").strip()

    @property
    def kind(self) -> str:
        return next(kind for kind in KINDS if self.root.name == _folder(kind))


def _folder(kind: str) -> str:
    return str(list(KINDS).index(kind))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Results]:
    """The results of all commands, by kind."""
    base = tmp_path_factory.mktemp("kinds")
    wheels = base / "wheels"
    make_wheel(wheels, "bigflow-backend", "0.1.0", {"bigflow/__main__.py": ""})
    image = small_base(base / "base.tar", version=platform.python_version())
    more = (f"--base-image={image}", f"--find-links={wheels}")
    environment = {
        **{k: v for k, v in os.environ.items() if k not in {"PIP_FIND_LINKS", "BIGFLOW_VERSION"}},
        "BIGFLOW_CACHE": str(base / "cache"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
    }
    found = {}
    for kind in KINDS:
        root = base / _folder(kind)
        write_kind(root, kind)
        found[kind] = Results(root)
        for name, command in COMMANDS.items():
            options = more if name == "`build-image`" else ()
            found[kind].done[name] = subprocess.run(
                [sys.executable, *command, *options],
                cwd=root,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
    return found


def test_the_table_of_the_documentation(results: Mapping[str, Results]) -> None:
    notes: list[str] = []

    def cell(error: str | None) -> str:
        if error is None:
            return "yes"
        if error not in notes:
            notes.append(error)
        return f"({notes.index(error) + 1})"

    rows = [
        f"| {kind} | " + " | ".join(cell(found.error(name)) for name in COMMANDS) + " |"
        for kind, found in results.items()
    ]
    table = "\n".join(
        [
            "| project | " + " | ".join(COMMANDS) + " |",
            "|---" * (len(COMMANDS) + 1) + "|",
            *rows,
            "",
            *(f"{number}. {text}" for number, text in enumerate(notes, 1)),
            "",
        ]
    )
    page = _PAGE.read_text("utf-8")
    before, rest = page.split(_BEGIN)
    written, after = rest.split(_END)
    if os.environ.get("BIGFLOW_WRITE_DOCS"):
        _PAGE.write_text(f"{before}{_BEGIN}\n{table}\n{_END}{after}", "utf-8")
        return
    assert written.strip() == table.strip()


@pytest.mark.parametrize("kind", KINDS)
def test_the_dags_of_bigflow(results: Mapping[str, Results], kind: str) -> None:
    found = results[kind]
    error = found.error("`build-dags`")
    if error is not None:
        assert kind in {"two repositories", "`requirements.in`, not compiled"}, error
        return
    files = sorted((found.root / ".dags").glob("*_dag.py"))
    assert [dag_facts(file) for file in files] == json.loads(RECORDED.read_text("utf-8"))[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_one_warning_says_what_to_write(results: Mapping[str, Results], kind: str) -> None:
    for name in ("`build-package`", "`build-dags`", "`pip wheel`"):
        if results[kind].error(name) is None and name != "`pip wheel`":
            text = results[kind].done[name].stderr
            assert text.count("bigflow means bigflow-backend here: write ") == 1, text
            assert "bigflow-backend into resources/requirements.txt, line 1" in text
            assert "pip install" not in text


def test_all_frontends_give_one_wheel(results: Mapping[str, Results]) -> None:
    for found in results.values():
        wheels = {
            path.read_bytes()
            for directory in ("dist", "built", "piped")
            for path in (found.root / directory).glob("*.whl")
        }
        assert len(wheels) <= 1


def test_a_second_package_and_its_resources(results: Mapping[str, Results], tmp_path: Path) -> None:
    """The wheel has both packages; each finds the resources once it is installed."""
    (wheel,) = (results["several packages"].root / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read("city-1.2.0.dist-info/METADATA").decode()
        archive.extractall(tmp_path / "site-packages")
    assert {"rides/daily.py", "stations/hourly.py", "rides/resources/limits.txt"} <= names
    assert not any(name.startswith("test/") for name in names)
    assert "Requires-Dist: bigflow-backend\n" in metadata
    for package in ("rides", "stations"):
        job = ("--project-package", package, "--job", f"hourly_{package}.count")
        done = subprocess.run(
            [sys.executable, "-m", "bigflow", "run", *job, "--runtime", "2026-01-01"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "site-packages")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "count for 2026-01-01 with limits 7" in done.stdout, done.stderr
