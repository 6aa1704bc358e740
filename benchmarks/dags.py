"""DAGs: ``build_dags`` beside BigFlow's, and what an Airflow needs to parse the files.

    python benchmarks/dags.py [--rounds N]

Building: the commands `bigflow build-dags` of this project and of BigFlow 1.11.3, each in a virtual
environment of its own with compiled bytecode, on the same workflows of four jobs. The figures are
CPU seconds of the whole command. BigFlow is measured with two releases of setuptools, whose
pkg_resources it imports: 65.5.0, which the `venv` of Python 3.11 brings, and the newest it runs
with.

Parsing: 16 of the files in a real Airflow 3.3.2, by `airflow dag-processor`, as they are and with
the imports of BigFlow's DAGs, which stand in `try`. The figures are the seconds that Airflow itself
records for each file.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from processes import cpu_seconds, in_turn
from uv import find_uv_bin

from bigflow_backend.dags.airflow_environment import airflow_environment

if TYPE_CHECKING:
    from collections.abc import Callable

_REPOSITORY = Path(__file__).parents[1]
_AIRFLOW = "3.3.2"
_FILES = 16
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
_TRIED_IMPORT = f"""\
try:
    {_PLAIN_IMPORT}
except ImportError:
    from airflow.contrib.operators.kubernetes_pod_operator import KubernetesPodOperator
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        building(work, rounds)
        parsing(work, max(3, rounds // 2))


def building(work: Path, rounds: int) -> None:
    ours = environment(work / "ours", f"{_REPOSITORY}[build]")
    theirs = {
        release: environment(work / f"setuptools-{release}", "bigflow==1.11.3", wanted)
        for release, wanted in (("65.5.0", "setuptools==65.5.0"), ("81", "setuptools<82"))
    }
    measures: dict[str, Callable[[], float]] = {}
    for number in (1, 200, 1000):
        project = write_project(work / f"ours-{number}", number, _OURS)
        measures[f"ours {number}"] = build_measure(ours, project)
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
    for release in theirs:
        figures = [found[f"{release} {number}"] for number in (1, 200)]
        ratios = [found[f"ours {n}"] / figure for n, figure in zip((1, 200), figures, strict=True)]
        print(f"| BigFlow 1.11.3, setuptools {release} | {figures[0]:.2f} | {figures[1]:.2f} | |")
        print(f"| ratio | {ratios[0]:.2f} | {ratios[1]:.2f} | |")
    each = [1000 * (found[f"ours {n}"] - found["ours 1"]) / (n - 1) for n in (200, 1000)]
    print(f"\n{each[0]:.2f} ms for each further workflow of 200, {each[1]:.2f} of 1,000")


def environment(place: Path, *requirements: str) -> Path:
    """The interpreter of a new virtual environment."""
    uv, python = find_uv_bin(), place / "bin" / "python"
    subprocess.run([uv, "venv", "-q", "-p", sys.executable, place], check=True)
    install = [uv, "pip", "install", "-q", "-p", python, "--compile-bytecode"]
    subprocess.run([*install, *requirements], check=True)
    return python


def build_measure(python: Path, project: Path) -> Callable[[], float]:
    # BigFlow runs `python` by its name. Its bytecode and that of the project may be kept.
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    variables = {"PATH": path, "PYTHONDONTWRITEBYTECODE": ""}
    return partial(cpu_seconds, [python, "-m", "bigflow", "build-dags"], project, variables)


def write_project(root: Path, workflows: int, files: dict[str, str]) -> Path:
    text = _HEAD + "".join(_WORKFLOW.format(number) for number in range(workflows))
    for name, content in {**files, **_BOTH, "pipelines/workflows.py": text}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def parsing(work: Path, rounds: int) -> None:
    airflow = airflow_environment(_AIRFLOW, say=print)
    files = sorted((work / "ours-200" / ".dags").glob("*.py"))[:_FILES]
    migrated = work / "airflow.db"
    run_airflow(airflow.interpreter, migrated.parent / "home", migrated, work, "db", "migrate")
    found: dict[str, list[float]] = {"plain": [], "tried": []}
    for number in range(rounds):
        for name in found:
            home = work / f"{name}-{number}"
            (home / "dags").mkdir(parents=True)
            shutil.copy(migrated, home / "airflow.db")
            for file in files:
                text = file.read_text()
                tried = text.replace(_PLAIN_IMPORT, _TRIED_IMPORT)
                (home / "dags" / file.name).write_text(text if name == "plain" else tried)
            run_airflow(
                *(airflow.interpreter, home, home / "airflow.db", home / "dags"),
                *("dag-processor", "--num-runs", "1"),
            )
            found[name] += parse_seconds(home / "airflow.db")
    plain, tried = (statistics.median(seconds) for seconds in found.values())
    print(f"\nParsing by the dag-processor of Airflow {airflow.airflow}: seconds for a file\n")
    print("| imports | median | slowest |\n|---|---|---|")
    print(f"| in plain lines, as generated | {plain:.3f} | {max(found['plain']):.3f} |")
    print(f"| in `try`, as BigFlow's | {tried:.3f} | {max(found['tried']):.3f} |")
    print(f"\nratio {plain / tried:.3f}")


def run_airflow(python: Path, home: Path, database: Path, dags: Path, *command: str) -> None:
    variables = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{database}",
    }
    cpu_seconds([python, "-m", "airflow", *command], database.parent, variables)


def parse_seconds(database: Path) -> list[float]:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("select last_parse_duration from dag").fetchall()
    if len(rows) != _FILES:
        raise SystemExit(f"Airflow parsed {len(rows)} files, not {_FILES}")
    return [seconds for (seconds,) in rows]


if __name__ == "__main__":
    main()
