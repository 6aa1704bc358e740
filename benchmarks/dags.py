"""DAG files: the command `bigflow build-dags`, and how Airflow parses what it writes.

Each workflow has four jobs. Airflow's DAG processor parses 4 files: those that we generate, the
same files with the imports of BigFlow's DAGs, and DAGs without a task. BigFlow's imports are in
`try`. A read-only installation has no bytecode of Airflow, so Airflow runs with and without it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
from functools import partial
from typing import TYPE_CHECKING

import pytest
from environments import peer_versions, peers
from measure import Cost, Measure, in_rounds, run, run_cost
from results import OURS, Row

from support.airflow import AIRFLOW_3, installed_airflow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from measure import Options

    from support.airflow import Airflow

SIZES = (1, 10, 100, 1000)
_PARSED = 4
_HEAD = """\
from bigflow import Job, Workflow, Definition


class Step(Job):
    def execute(self, context):
        pass

"""
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
_EMPTY = "from airflow.sdk import DAG\n\nwith DAG({0!r}):\n    pass\n"
_BYTECODE = {
    "with bytecode": {},
    # Python searches bytecode in a place without any.
    "without bytecode": {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": os.devnull},
}


def measured(work: Path, options: Options) -> tuple[list[Row], dict[str, str]]:
    """Return the rows, and the versions of the peers."""
    pythons = peers(work, options.old)
    measures = []
    for size in SIZES[:2] if options.tiny else SIZES:
        for peer, python in pythons.items():
            files = _BIGFLOW if peer == "BigFlow" else _OURS
            project = _write_project(work / f"{peer}-{size}", size, files)
            measures.append(
                Measure("build-dags", str(size), peer, partial(_build, python, project))
            )
    rows = in_rounds(measures, options.rounds, warm_up=not options.tiny)
    found = peer_versions(pythons)
    if not options.tiny:
        try:
            airflow = installed_airflow(AIRFLOW_3, work / "airflow")
        except (pytest.skip.Exception, pytest.fail.Exception) as reason:
            print(f"dags: the parsing is skipped, {reason}")
        else:
            rows += _parsing(airflow, work, work / f"{OURS}-100" / ".dags", options.rounds)
            found["Airflow"] = airflow.version
    return rows, found


def _build(python: Path, project: Path) -> Cost:
    # BigFlow runs `python` from PATH. Both can use bytecode.
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    variables = {"PATH": path, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPATH": ""}
    return run_cost([python, "-m", "bigflow", "build-dags"], project, variables)


def _write_project(root: Path, workflows: int, files: Mapping[str, str]) -> Path:
    text = _HEAD + "".join(_WORKFLOW.format(number) for number in range(workflows))
    for name, content in {**files, **_BOTH, "pipelines/workflows.py": text}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def _parsing(airflow: Airflow, work: Path, generated: Path, rounds: int) -> list[Row]:
    texts = {file.name: file.read_text() for file in sorted(generated.glob("*.py"))[:_PARSED]}
    folders = {
        OURS: texts,
        "BigFlow's imports": {
            name: text.replace(_PLAIN_IMPORT, _TRIED_IMPORTS) for name, text in texts.items()
        },
        "a DAG without tasks": {name: _EMPTY.format(name) for name in texts},
    }
    homes = (work / f"airflow-{number}" for number in itertools.count())
    measures = [
        Measure("parse a DAG file", case, peer, partial(_parse, airflow, files, variables, homes))
        for case, variables in _BYTECODE.items()
        for peer, files in folders.items()
    ]
    measures[0].cost()  # writes the bytecode of Airflow
    return in_rounds(measures, (rounds + 1) // 2, warm_up=False)


def _parse(
    airflow: Airflow, files: Mapping[str, str], variables: Mapping[str, str], homes: Iterator[Path]
) -> Cost:
    """Return the median of the seconds that Airflow records for a file. They are wall time."""
    one_process = {
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "PYTHONDONTWRITEBYTECODE": "",
        **variables,
    }
    fresh = airflow.with_home(next(homes)).with_variables(**one_process)
    for name, text in files.items():
        (fresh.dags / name).write_text(text)
    program: list[str | Path] = [airflow.python, "-m", "airflow"]
    run([*program, "dag-processor", "--num-runs", "1"], fresh.home, fresh.environment)
    with contextlib.closing(sqlite3.connect(fresh.database)) as connection:
        rows = connection.execute("select last_parse_duration from dag").fetchall()
    if len(rows) != _PARSED:
        raise SystemExit(f"Airflow parsed {len(rows)} files, not {_PARSED}")
    return Cost(None, sorted(seconds for (seconds,) in rows)[_PARSED // 2])
