"""Projects of every public kind of BigFlow 1.x, and the facts in a DAG file of either tool.

As a script, this module builds their DAGs with BigFlow 1.11.3 and records the facts:
``PYTHONPATH=tests python -m support.bigflow_kinds``.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import types
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from unittest import mock

from uv import find_uv_bin

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["KINDS", "RECORDED", "START_TIME", "dag_facts", "write_kind"]

RECORDED = Path(__file__).parents[1] / "projects" / "bigflow_dags.json"
START_TIME = "2026-01-31 06:00:00"
_PYTHON = "3.11"
"""The newest that BigFlow 1.11.3 runs on."""

_JOBS = '''\
"""Rides of a day."""

from pathlib import Path

import bigflow
from bigflow.resources import get_resource_absolute_path


class Load(bigflow.Job):
    def __init__(self, id, **options):
        super().__init__(id, **options)

    def execute(self, context):
        limits = get_resource_absolute_path("limits.txt", Path(__file__)).read_text().strip()
        print(f"{self.id} for {context.runtime_str[:10]} with limits {limits}")
'''
_DAILY = """\
import bigflow
from bigflow.workflow import daily_start_time
from rides.jobs import Load

fetch, clean = Load("fetch_rides", retry_count=5), Load("clean")
report = Load("report", retry_pause_sec=30, execution_timeout_sec=600)

daily = bigflow.Workflow(
    "daily_rides",
    bigflow.Definition({fetch: [clean, report], clean: [report]}),
    start_time_factory=daily_start_time,
)
"""
_HOURLY = """\
import bigflow
from bigflow.workflow import hourly_start_time
from {package}.jobs import Load

hourly = bigflow.Workflow(
    "hourly_{package}",
    [Load("count"), Load("publish_all")],
    schedule_interval="@hourly",
    start_time_factory=hourly_start_time,
    depends_on_past=False,
    env_variable="stage",
)
"""
_PACKAGE = {
    "rides/__init__.py": "",
    "rides/jobs.py": _JOBS,
    "rides/daily.py": _DAILY,
    "rides/hourly.py": _HOURLY.format(package="rides"),
}
_SECOND = {
    "stations/__init__.py": "",
    "stations/jobs.py": _JOBS,
    "stations/hourly.py": _HOURLY.format(package="stations"),
}
_COMMON = {
    "test/__init__.py": "",
    "test/test_rides.py": "import unittest\n\nimport rides.jobs\n\n\n"
    "class RidesTest(unittest.TestCase):\n    def test_id(self):\n"
    "        self.assertEqual(rides.jobs.Load('a').id, 'a')\n",
    "resources/limits.txt": "7\n",
    "resources/requirements.txt": "bigflow==1.11.3\n",
    "deployment_config.py": "from bigflow.configuration import DeploymentConfig\n\n"
    "deployment_config = DeploymentConfig(\n    name='dev',\n"
    "    properties={'docker_repository': 'example.org/rides', 'dags_bucket': 'a'},\n"
    ").add_configuration(name='prod', properties={'docker_repository': 'example.org/prod'})\n",
}
_BUILD_SYSTEM = """\
[build-system]
requires = ["bigflow==1.11.3"]
build-backend = "bigflow.build.meta"
"""
_SETUP = """\
#!/usr/bin/env python
import bigflow.build

bigflow.build.setup(
    name="{name}",
    version="1.2.0",{more}
)
"""

KINDS: dict[str, dict[str, str]] = {
    "`project_setup(**auto_configuration(...))`": {
        **_PACKAGE,
        **_COMMON,
        "project_setup.py": """\
from setuptools import setup

from bigflow.build import auto_configuration, project_setup

PROJECT_NAME = "rides"

if __name__ == "__main__":
    setup(**project_setup(**auto_configuration(PROJECT_NAME), version="1.2.0"))
""",
    },
    "`bigflow.build.setup(...)`": {
        **_PACKAGE,
        **_COMMON,
        "setup.py": _SETUP.format(name="rides", more=""),
        "pyproject.toml": _BUILD_SYSTEM,
    },
    "all keywords, paths with a slash": {
        **_PACKAGE,
        **_COMMON,
        "setup.py": _SETUP.format(
            name="rides",
            more="""
    docker_repository="example.org/rides",
    resources_dir="resources/",
    project_requirements_file="./resources/requirements.txt",
    deployment_config_file="deployment_config.py",
    test_framework="unittest",
    export_image_tar=True,
    description="Rides of a day",""",
        ),
        "pyproject.toml": _BUILD_SYSTEM,
    },
    "`[bigflow-project]`": {
        **_PACKAGE,
        **_COMMON,
        "pyproject.toml": _BUILD_SYSTEM
        + '\n[bigflow-project]\nname = "rides"\nversion = "1.2.0"\npackages = ["rides"]\n',
    },
    "several packages": {
        **_PACKAGE,
        **_SECOND,
        **_COMMON,
        "setup.py": _SETUP.format(name="city", more=""),
        "pyproject.toml": _BUILD_SYSTEM,
    },
    "a package of another name": {
        **_PACKAGE,
        **_COMMON,
        "setup.py": _SETUP.format(name="city-traffic", more=""),
        "pyproject.toml": _BUILD_SYSTEM,
    },
    "made by `start-project`, with its Dockerfile": {
        **_PACKAGE,
        **_COMMON,
        "Dockerfile": "FROM python:3.7.9-slim-buster\nWORKDIR /app\n"
        "COPY ./resources/requirements.txt requirements.txt\n"
        "RUN pip install --no-cache-dir -r requirements.txt\nCOPY ./dist dist\n"
        "RUN pip install dist/*.whl\n",
        "setup.py": _SETUP.format(name="rides", more="\n    # author='unknown',"),
        "pyproject.toml": _BUILD_SYSTEM,
    },
    "`requirements.in`, not compiled": {
        **{k: v for k, v in _COMMON.items() if k != "resources/requirements.txt"},
        **_PACKAGE,
        "resources/requirements.in": "bigflow==1.11.3\n",
        "setup.py": _SETUP.format(name="rides", more=""),
        "pyproject.toml": _BUILD_SYSTEM,
    },
    "`data_files`": {
        **_PACKAGE,
        **_COMMON,
        "conf/x.yaml": "a: 1\n",
        "setup.py": _SETUP.format(
            name="rides", more='\n    data_files=[("conf", ["conf/x.yaml"])],'
        ),
        "pyproject.toml": _BUILD_SYSTEM,
    },
    "two repositories": {
        **_PACKAGE,
        **_COMMON,
        "setup.py": _SETUP.format(
            name="rides", more='\n    docker_repository="example.org/other",'
        ),
        "pyproject.toml": _BUILD_SYSTEM,
    },
}
"""The files of the projects, by the name of their kind in docs/how-to/migration.md."""


def write_kind(root: Path, kind: str) -> None:
    """Write the project of a kind into ``root``."""
    for name, text in KINDS[kind].items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def dag_facts(file: Path) -> dict[str, Any]:
    """Return what a DAG file states, in the same words for both tools. It runs with stand-ins."""
    with _stand_ins():
        exec(compile(file.read_text("utf-8"), file, "exec"), {"__name__": "dag"})
        (dag,) = _Dag.made
        arguments = {**dag.arguments, **dag.arguments.get("default_args", {})}
        schedule = arguments.get("schedule", arguments.get("schedule_interval"))
        return {
            "file": file.name,
            "dag_id": dag.dag_id,
            "schedule": schedule.total_seconds() if isinstance(schedule, timedelta) else schedule,
            "start_date": arguments["start_date"].replace(tzinfo=timezone.utc).isoformat(),
            "depends_on_past": arguments["depends_on_past"],
            "tasks": {_plain(op.arguments["task_id"]): _task(op) for op in _Operator.made},
        }


def _task(operator: _Operator) -> dict[str, Any]:
    arguments = operator.arguments
    words = [*arguments["cmds"], *arguments["arguments"]]
    # Our commands have more options, also as one word: --try-number=1.
    options = {
        name: words[words.index(name) + 1] for name in ("--job", "--project-package", "--config")
    }
    options["--config"] = " ".join(re.findall(r"\w+", options["--config"]))
    return {
        "command": words[:4],
        "options": options,
        "image": arguments["image"],
        "retries": arguments["retries"],
        "retry_delay": arguments["retry_delay"].total_seconds(),
        "execution_timeout": arguments["execution_timeout"].total_seconds(),
        "upstream": sorted(_plain(other.arguments["task_id"]) for other in operator.upstream),
    }


def _plain(task_id: str) -> str:
    return task_id.replace("_", "-")  # as BigFlow writes it


class _Dag:
    made: ClassVar[list[_Dag]] = []

    def __init__(self, dag_id: str, **arguments: Any) -> None:
        self.dag_id, self.arguments = dag_id, arguments
        self.made.append(self)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class _Operator:
    made: ClassVar[list[_Operator]] = []

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments
        self.upstream: list[_Operator] = []
        self.made.append(self)

    def set_upstream(self, other: _Operator) -> None:
        self.upstream.append(other)

    def __rshift__(self, later: Any) -> Any:
        for operator in later if isinstance(later, list) else [later]:
            operator.upstream.append(self)
        return later

    def __rrshift__(self, earlier: list[_Operator]) -> _Operator:
        self.upstream += earlier
        return self


def _date(*numbers: int, tz: str) -> datetime:
    assert tz == "UTC"
    return datetime(*numbers)  # type: ignore[arg-type]  # noqa: DTZ001


@contextlib.contextmanager
def _stand_ins() -> Iterator[None]:
    """Replace Airflow and pendulum in the block."""
    _Dag.made.clear()
    _Operator.made.clear()
    content: dict[str, dict[str, Any]] = {
        "airflow": {"DAG": _Dag, "version": types.SimpleNamespace(version="2.9.3")},
        "airflow.kubernetes.secret": {"Secret": lambda **arguments: arguments},
        "airflow.providers.cncf.kubernetes.operators.pod": {"KubernetesPodOperator": _Operator},
        "airflow.timetables.interval": {
            "CronDataIntervalTimetable": lambda text, timezone: text,  # noqa: ARG005
            "DeltaDataIntervalTimetable": lambda delta: delta,
        },
        "pendulum": {"datetime": _date},
    }
    modules: dict[str, Any] = {"airflow.sdk": None}
    for name, values in content.items():
        for end in range(1, name.count(".") + 2):
            parent = ".".join(name.split(".")[:end])
            module = modules.setdefault(parent, types.ModuleType(parent))
            module.__path__ = []
        vars(modules[name]).update(values)
    with mock.patch.dict(sys.modules, modules):
        yield


def record(environment: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the facts of the DAGs that BigFlow in ``environment`` makes of each kind."""
    found = {}
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            write_kind(root, kind)
            if (root / "project_setup.py").exists():  # else BigFlow asks whether to rename it
                (root / "project_setup.py").rename(root / "setup.py")
            done = subprocess.run(
                [environment / "bin/python", "-m", "bigflow", "build-dags", "-t", START_TIME],
                cwd=root,
                env={**os.environ, "PATH": f"{environment}/bin:{os.environ['PATH']}"},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise SystemExit(f"{kind}: {done.stderr}")
            found[kind] = [dag_facts(file) for file in sorted((root / ".dags").glob("*_dag.py"))]
    return found


def _environment(root: Path) -> Path:
    uv = find_uv_bin()
    subprocess.run([uv, "venv", "--quiet", "--python", _PYTHON, root], check=True)
    subprocess.run(
        [uv, "pip", "install", "--quiet", "bigflow==1.11.3", "setuptools<66", "pip"],
        env={**os.environ, "VIRTUAL_ENV": str(root)},
        check=True,
    )
    return root


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        facts: Mapping[str, Any] = record(_environment(Path(directory) / "bigflow"))
    RECORDED.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", "utf-8")
