"""Real Airflows: each release in a virtual environment of its own, made by uv and kept.

Making one costs about 20 seconds, most of it `airflow db migrate`; both the environment and the
migrated database survive in ``.cache/airflow`` of the repository (``BIGFLOW_AIRFLOW_CACHE`` names
another place). A test session works on a copy of that database in a temporary directory.

Where no suitable Python is found or the installation fails, the tests are skipped with the reason;
with ``BIGFLOW_REQUIRE_AIRFLOW=1`` they fail.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import uv

from support import dag_probe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "AIRFLOW_2",
    "AIRFLOW_3",
    "Airflow",
    "Release",
    "TaskInstance",
    "installed_airflow",
    "kubernetes_connection",
]

_SEPARATOR = "-*- the next command -*-\n"
_RUN_COMMANDS = f"""\
import contextlib, json, sys
from airflow.__main__ import main
for sys.argv in json.loads(sys.argv[1]):
    print({_SEPARATOR!r}, end="", flush=True)
    with contextlib.suppress(SystemExit):
        main()
    sys.stdout.flush()
"""
REPOSITORY = Path(__file__).parents[2]
PROVIDER = "apache-airflow-providers-cncf-kubernetes"
FIXTURES = {"airflow", "airflow_2", "airflow_3"}


@dataclass(frozen=True)
class Release:
    """A release of Airflow and what it runs on."""

    version: str
    pythons: tuple[str, ...] = ("3.11", "3.12")
    exclude_newer: str | None = None
    """A date: no package uploaded after it is installed, which stands in for a constraint file."""

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])


AIRFLOW_2 = Release("2.11.2")
AIRFLOW_3 = Release("3.3.2")


@dataclass(frozen=True)
class TaskInstance:
    """A task of one run, as the metadata database has it at the end."""

    dag_id: str
    run_id: str
    task_id: str
    state: str
    try_number: int


@dataclass(frozen=True)
class Airflow:
    """An installed Airflow and a home directory for it: settings, database, DAGs folder."""

    release: Release
    python: Path
    home: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of the processes, beside those that name the home directory."""

    @property
    def version(self) -> str:
        return self.release.version

    @property
    def dags(self) -> Path:
        """The DAGs folder."""
        return self.home / "dags"

    @property
    def database(self) -> Path:
        return self.home / "airflow.db"

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of a process: nothing of the caller's but the search path."""
        return {
            "PATH": os.pathsep.join([str(self.python.parent), os.environ.get("PATH", os.defpath)]),
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.database}",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            **self.variables,
        }

    def with_variables(self, **variables: str) -> Airflow:
        """The same Airflow with more environment variables."""
        return replace(self, variables={**self.variables, **variables})

    def with_home(self, home: Path) -> Airflow:
        """The same installation with a new home: an empty DAGs folder, a database without runs."""
        home.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_migrated_database(self.python), home / "airflow.db")
        moved = replace(self, home=home)
        moved.dags.mkdir()
        return moved

    def run(
        self, args: Sequence[str | Path], *, check: bool = True, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Runs ``airflow ARGS``, stderr in ``stdout``; with ``check`` a failure fails the test."""
        return self.run_python(["-m", "airflow", *args], check=check, timeout=timeout)

    def run_python(
        self, args: Sequence[str | Path], *, check: bool = True, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Runs ``python ARGS`` of the environment, as :meth:`run` does."""
        done = subprocess.run(
            [self.python, *args],
            cwd=self.home,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            command = " ".join(map(str, args))
            pytest.fail(f"[{self.version}] {command}: {done.returncode}\n{done.stdout}")
        return done

    def read_dags(self, *files: Path) -> dict[str, Any]:
        """What this Airflow makes of DAG files, by the ids of their workflows: ``errors``,
        ``warnings``, and ``dags`` by their ids, as ``support/dag_probe.py`` says."""
        # -P: the directory of the script holds this very file, which is named like Airflow.
        said = self.run_python(["-P", Path(dag_probe.__file__), *sorted(files)]).stdout
        (line,) = (line for line in said.splitlines() if line.startswith(dag_probe.MARK))
        found = json.loads(line.removeprefix(dag_probe.MARK))
        return {name.partition("__v")[0]: answer for name, answer in found.items()}

    def run_in_turn(self, *commands: Sequence[str]) -> list[str]:
        """Runs ``airflow COMMAND`` for each; returns what each said. They may fail.

        They share one process, as most of the time of each alone goes into Airflow's imports.
        """
        arguments = json.dumps([["airflow", *command] for command in commands])
        output = self.run_python(["-c", _RUN_COMMANDS, arguments], timeout=600).stdout
        return output.split(_SEPARATOR)[1:]

    def test_dags(self, *runs: tuple[str, str]) -> dict[str, str]:
        """``airflow dags test DAG_ID DATE`` for each run; returns what each said, by DAG id.

        Runs may fail: :meth:`run_states` tells.
        """
        said = self.run_in_turn(*(["dags", "test", *run] for run in runs))
        return {dag_id: output for (dag_id, _), output in zip(runs, said, strict=True)}

    def task_instances(self, dag_id: str) -> list[TaskInstance]:
        """The tasks of all runs of a DAG, in the order in which they ended."""
        rows = self._query(
            "select dag_id, run_id, task_id, state, try_number from task_instance"
            " where dag_id = ? order by end_date",
            dag_id,
        )
        return [TaskInstance(*row) for row in rows]

    def run_states(self, dag_id: str) -> dict[str, str]:
        """The state of each run of a DAG, by run id, in the order of their creation."""
        rows = self._query("select run_id, state from dag_run where dag_id = ? order by id", dag_id)
        return dict(rows)

    def run_times(self, dag_id: str) -> list[str]:
        """When each run of a DAG was asked for, as ``2026-01-01 00:00:00``, UTC."""
        column = "run_after" if self.release.major > 2 else "execution_date"  # the schema's names
        rows = self._query(f"select {column} from dag_run where dag_id = ? order by id", dag_id)
        return [str(moment)[:19].replace("T", " ") for (moment,) in rows]

    def _query(self, statement: str, *parameters: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(statement, parameters).fetchall()


def kubernetes_connection(kubeconfig: Mapping[str, Any]) -> str:
    """The value of an ``AIRFLOW_CONN_...`` variable, for a cluster given by its kubeconfig."""
    extra = {"kube_config": json.dumps(kubeconfig)}
    return json.dumps({"conn_type": "kubernetes", "extra": extra})


def installed_airflow(release: Release, home: Path) -> Airflow:
    """The release with a new home, installed first where it is not yet; else the test ends."""
    interpreter = _interpreter(release)
    if interpreter is None:
        wanted = " or ".join(release.pythons)
        _unavailable(f"Airflow {release.version} needs Python {wanted}, and none was found")
    python_version, path = interpreter
    cache = Path(os.environ.get("BIGFLOW_AIRFLOW_CACHE") or REPOSITORY / ".cache" / "airflow")
    place = cache / f"{release.version}-python{python_version}"
    try:
        with _lock(place):
            python = _complete_installation(place, release, path)
    except subprocess.CalledProcessError as error:
        _unavailable(f"Airflow {release.version} could not be installed: {error.output}")
    return Airflow(release, python, home).with_home(home)


def _complete_installation(place: Path, release: Release, interpreter: str) -> Path:
    """The python of the installation in ``place``, made unless a whole one is there.

    The marker is written last, so what an interrupted run left behind is made anew. It is built in
    place rather than moved there: the scripts of a virtual environment hold its path.
    """
    marker, environment = place / "complete", place / "venv"
    python = environment / "bin" / "python"
    requirements = [f"apache-airflow=={release.version}", PROVIDER]
    if marker.is_file():
        return python
    shutil.rmtree(place, ignore_errors=True)
    newest = ["--exclude-newer", release.exclude_newer] if release.exclude_newer else []
    _call(uv.find_uv_bin(), "venv", "--quiet", "--python", interpreter, environment)
    _call(uv.find_uv_bin(), "pip", "install", "--quiet", "--python", python, *newest, *requirements)
    template = Airflow(release, python, place / "home")
    template.dags.mkdir(parents=True)
    _call(python, "-m", "airflow", "db", "migrate", env=template.environment)
    _call(python, "-m", "compileall", "-q", environment / "lib", check=False)
    marker.write_text("\n".join(requirements) + "\n")
    return python


def _migrated_database(python: Path) -> Path:
    return python.parents[2] / "home" / "airflow.db"


def _call(*command: str | Path, env: Mapping[str, str] | None = None, check: bool = True) -> None:
    subprocess.run(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=check,
    )


@contextlib.contextmanager
def _lock(place: Path) -> Iterator[None]:
    """Sessions that start together install a release once; the lock ends with its process."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name(f"{place.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _interpreter(release: Release) -> tuple[str, str] | None:
    """A Python for the release, and its version: the one that runs the tests, or one on PATH."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    if own in release.pythons:
        return own, sys.executable
    for version in release.pythons:
        path = shutil.which(f"python{version}")
        # pyenv's shims are found for versions that it does not run.
        if path and not subprocess.run([path, "-V"], capture_output=True, check=False).returncode:
            return version, path
    return None


def _unavailable(reason: str) -> NoReturn:
    if os.environ.get("BIGFLOW_REQUIRE_AIRFLOW") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks each test that uses an Airflow, so that none is left unmarked."""
    for item in items:
        if isinstance(item, pytest.Function) and not FIXTURES.isdisjoint(item.fixturenames):
            item.add_marker(pytest.mark.airflow)


@pytest.fixture(scope="session")
def airflow_2(tmp_path_factory: pytest.TempPathFactory) -> Airflow:
    """The newest Airflow 2, with a home of this session."""
    return installed_airflow(AIRFLOW_2, tmp_path_factory.mktemp("airflow_2"))


@pytest.fixture(scope="session")
def airflow_3(tmp_path_factory: pytest.TempPathFactory) -> Airflow:
    """The newest Airflow 3, with a home of this session."""
    return installed_airflow(AIRFLOW_3, tmp_path_factory.mktemp("airflow_3"))


@pytest.fixture(scope="session", params=["airflow_2", "airflow_3"])
def airflow(request: pytest.FixtureRequest) -> Airflow:
    """Each of the two in turn."""
    found: Airflow = request.getfixturevalue(request.param)
    return found
