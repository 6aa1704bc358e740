"""DAGs: the time of ``build_dags``, compared with BigFlow, and of Airflow's parsing.

    python benchmarks/dags.py [--rounds N] [--old CHECKOUT]

``--old`` measures `build-dags` of another checkout, too, and prints the ratio to it.

Building: the commands `bigflow build-dags` of this project and of BigFlow 1.11.3. Each has its own
virtual environment with compiled bytecode. Both build the same workflows of four jobs. The figures
are CPU seconds of the whole command. BigFlow imports pkg_resources of setuptools, so it runs with
two releases of it: 65.5.0, which the `venv` of Python 3.11 installs, and the newest possible one.

Parsing: `airflow dag-processor` of Airflow 3.3.2 parses 8 of the files in one process. It parses
them unchanged, and with the imports of BigFlow's DAGs, without their fallback for Airflow 1. Those
imports are in `try`. The figures are the seconds that Airflow records for each file. A read-only
installation has no bytecode of Airflow, so there are figures with and without it. An empty DAG
shows the time of any file.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sqlite3
import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from environments import environment, own_wheel
from processes import cpu_seconds, in_turn

from bigflow_backend.dags.airflow.releases import PROVIDER

if TYPE_CHECKING:
    from collections.abc import Callable

_AIRFLOW = "3.3.2"
_FILES = 8
_WORKFLOW = """
extract_{0}, clean_{0} = Step("extract"), Step("clean")
load_{0}, report_{0} = Step("load"), Step("report")
workflow_{0} = Workflow(
    workflow_id="workflow_{0}",
    definition=Definition({{
        extract_{0}: [clean_{0}, load_{0}],
        clean_{0}: [report_{0}],
        load_{0}: [report_{0}],
    }}),
    schedule_interval="@daily",
)
"""
_HEAD = """\
from bigflow import Job, Workflow, Definition


class Step(Job):
    def execute(self, context):
        pass

"""
_OURS = {
    "project_setup.py": 'from bigflow_backend import setup\n\nPROJECT_NAME = "pipelines"\n\n'
    'if __name__ == "__main__":\n    setup(name=PROJECT_NAME, version="1.0")\n',
}
_BIGFLOW = {
    "setup.py": 'import bigflow.build\n\nbigflow.build.setup(name="pipelines", version="1.0",'
    ' docker_repository="registry.example.com/pipelines")\n',
}
_BOTH = {
    "deployment_config.py": "from bigflow.configuration import DeploymentConfig\n"
    "deployment_config = DeploymentConfig(\n"
    '    "dev", {"docker_repository": "registry.example.com/pipelines"}\n)\n',
    "pipelines/__init__.py": "",
    "resources/requirements.txt": "",
    "Dockerfile": "",
}
_PLAIN_IMPORT = (
    "from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator\n"
)
_TRIED_IMPORTS = f"""\
from airflow import version
try:
    from airflow.kubernetes.secret import Secret
except ImportError:
    from airflow.providers.cncf.kubernetes.secret import Secret
try:
    {_PLAIN_IMPORT}
except ImportError:
    from airflow.providers.cncf.kubernetes.operators.kubernetes_pod import KubernetesPodOperator
"""
_BYTECODE = {
    "with bytecode": {},
    # Python searches bytecode in a place without any.
    "without bytecode": {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": os.devnull},
}
_EMPTY = """\
from airflow.sdk import DAG

with DAG({0!r}):
    pass
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--old", type=Path, help="another checkout of this repository")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        building(work, options.rounds, options.old)
        parsing(work, max(3, options.rounds // 2))


def building(work: Path, rounds: int, checkout: Path | None) -> None:
    ours = environment(work / "ours", f"{own_wheel(work / 'wheels')}[build]")
    theirs = {
        release: environment(work / f"setuptools-{release}", "bigflow==1.11.3", wanted)
        for release, wanted in (("65.5.0", "setuptools==65.5.0"), ("81", "setuptools<82"))
    }
    measures: dict[str, Callable[[], float]] = {}
    for number in (1, 200, 1000):
        project = write_project(work / f"ours-{number}", number, _OURS)
        measures[f"ours {number}"] = build_measure(ours, project)
    if checkout:
        wheel = own_wheel(work / "old-wheels", checkout)
        old = environment(work / "old", f"{wheel}[build]")
        for number in (1, 200, 1000):
            project = write_project(work / f"old-{number}", number, _OURS)
            measures[f"old {number}"] = build_measure(old, project)
    for number in (1, 200):
        project = write_project(work / f"bigflow-{number}", number, _BIGFLOW)
        for release, python in theirs.items():
            measures[f"{release} {number}"] = build_measure(python, project)
    found = in_turn(measures, rounds)
    print("\n`build-dags`: CPU seconds\n")
    print("| workflows | 1 | 200 | 1,000 |\n|---|---|---|---|")
    print(
        "| this project | " + " | ".join(f"{found[f'ours {n}']:.2f}" for n in (1, 200, 1000)) + " |"
    )
    if checkout:
        ratios = [found[f"ours {n}"] / found[f"old {n}"] for n in (1, 200, 1000)]
        print("| ratio to the old checkout | " + " | ".join(f"{r:.3f}" for r in ratios) + " |")
    for release in theirs:
        figures = [found[f"{release} {number}"] for number in (1, 200)]
        ratios = [found[f"ours {n}"] / figure for n, figure in zip((1, 200), figures, strict=True)]
        print(f"| BigFlow 1.11.3, setuptools {release} | {figures[0]:.2f} | {figures[1]:.2f} | |")
        print(f"| ratio | {ratios[0]:.2f} | {ratios[1]:.2f} | |")
    each = [1000 * (found[f"ours {n}"] - found["ours 1"]) / (n - 1) for n in (200, 1000)]
    print(f"\n{each[0]:.2f} ms for each further workflow of 200, {each[1]:.2f} of 1,000")


def build_measure(python: Path, project: Path) -> Callable[[], float]:
    # BigFlow runs `python` from PATH. Both can use bytecode.
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    variables = {"PATH": path, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPATH": ""}
    return partial(cpu_seconds, [python, "-m", "bigflow", "build-dags"], project, variables)


def write_project(root: Path, workflows: int, files: dict[str, str]) -> Path:
    text = _HEAD + "".join(_WORKFLOW.format(number) for number in range(workflows))
    for name, content in {**files, **_BOTH, "pipelines/workflows.py": text}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def parsing(work: Path, rounds: int) -> None:
    python = environment(work / "airflow-venv", f"apache-airflow=={_AIRFLOW}", PROVIDER)
    files = sorted((work / "ours-200" / ".dags").glob("*.py"))[:_FILES]
    texts = {file.name: file.read_text() for file in files}
    folders = {
        "in plain lines, as generated": texts,
        "in `try`, as BigFlow's": {
            name: text.replace(_PLAIN_IMPORT, _TRIED_IMPORTS) for name, text in texts.items()
        },
        "an empty DAG": {name: _EMPTY.format(name) for name in texts},
    }
    (work / "airflow").mkdir()
    migrated = work / "airflow" / "airflow.db"
    run_airflow(python, migrated.parent, {}, "db", "migrate")
    print(f"\nParsing by the dag-processor of Airflow {_AIRFLOW}: seconds for a file\n")
    for title, variables in _BYTECODE.items():
        found: dict[str, list[float]] = {name: [] for name in folders}
        for number in range(rounds):
            for i, (name, content) in enumerate(folders.items()):
                home = work / f"airflow-{len(variables)}-{number}-{i}"
                (home / "dags").mkdir(parents=True)
                shutil.copy(migrated, home)
                for file, text in content.items():
                    (home / "dags" / file).write_text(text)
                command = ("dag-processor", "--num-runs", "1")
                run_airflow(python, home, variables, *command)
                found[name] += parse_seconds(home / "airflow.db")
        print_parsing(title, found)


def print_parsing(title: str, found: dict[str, list[float]]) -> None:
    print(f"| imports; {title} | median | slowest |\n|---|---|---|")
    for name, seconds in found.items():
        print(f"| {name} | {statistics.median(seconds):.3f} | {max(seconds):.3f} |")
    plain, tried, empty = (statistics.median(seconds) for seconds in found.values())
    print(f"\nratio {plain / tried:.3f}; with an empty DAG {empty / tried:.3f}\n")


def run_airflow(python: Path, home: Path, variables: dict[str, str], *command: str) -> None:
    own = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "PYTHONDONTWRITEBYTECODE": "",
    }
    cpu_seconds([python, "-m", "airflow", *command], home, own | variables)


def parse_seconds(database: Path) -> list[float]:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("select last_parse_duration from dag").fetchall()
    if len(rows) != _FILES:
        raise SystemExit(f"Airflow parsed {len(rows)} files, not {_FILES}")
    return [seconds for (seconds,) in rows]


if __name__ == "__main__":
    main()
