"""Real Airflows: each release in a virtual environment of its own, which is made once.

Most of the time goes into ``airflow db migrate``. The environment and the migrated database stay
in ``.cache/airflow`` of the repository, or in ``BIGFLOW_AIRFLOW_CACHE``. A test session works on a
copy of the database. A test runs many processes: ``uv run``, as in ``bigflow check``, is slower.

If a release cannot be installed, its tests are skipped with the reason; with
``BIGFLOW_REQUIRE_AIRFLOW=1`` they fail.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import sqlite3
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import uv

from bigflow_backend.dags.airflow.releases import PROVIDER, AirflowRelease, airflow_release
from support import dag_probe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
_CONNECT_ARGUMENTS = "bigflow_test_database.CONNECT_ARGUMENTS"
_LOCK_SECONDS = 120
"""The time that a process waits while another one writes to the database."""
REPOSITORY = Path(__file__).parents[2]
FIXTURES = {"airflow", "airflow_2", "airflow_3", "each_airflow"}


AIRFLOW_OLDEST = airflow_release("2.7.3")
AIRFLOW_2 = airflow_release("2.11.2")
AIRFLOW_3 = airflow_release("3.3.2")
AIRFLOW_NEXT = airflow_release("3.4.0b2")
EACH = (AIRFLOW_OLDEST, AIRFLOW_2, AIRFLOW_3, AIRFLOW_NEXT)
"""The oldest release, the newest of each major version, and the next one."""


@dataclass(frozen=True)
class TaskInstance:
    """A task of one run, as in the metadata database at its end."""

    dag_id: str
    run_id: str
    task_id: str
    state: str
    try_number: int


@dataclass(frozen=True)
class DagRun:
    """A run, as in the metadata database."""

    run_id: str
    kind: str
    """``scheduled``, ``manual``, ..."""
    state: str
    start: str
    """The start of its data interval in UTC, as ``2026-01-01 00:00:00``; empty without one."""


@dataclass(frozen=True)
class Airflow:
    """An installed Airflow and a home directory for it: settings, database, DAGs folder."""

    release: AirflowRelease
    python: Path
    home: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of the processes, beside those for the home directory."""

    @property
    def version(self) -> str:
        return self.release.text

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])

    @property
    def dags(self) -> Path:
        """The DAGs folder."""
        return self.home / "dags"

    @property
    def database(self) -> Path:
        return self.home / "airflow.db"

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a process. Of the caller's, it has only PATH."""
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
        """Return the same Airflow with more environment variables."""
        return replace(self, variables={**self.variables, **variables})

    def with_home(self, home: Path) -> Airflow:
        """Return the same Airflow with a new home: no DAG files, and a database without runs."""
        home.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_migrated_database(self.python), home / "airflow.db")
        module, _, name = _CONNECT_ARGUMENTS.partition(".")
        (home / "config").mkdir(exist_ok=True)  # Airflow imports modules of this folder
        (home / "config" / f"{module}.py").write_text(f"{name} = {{'timeout': {_LOCK_SECONDS}}}\n")
        moved = replace(self, home=home).with_variables(
            AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS=_CONNECT_ARGUMENTS,
            AIRFLOW__DATABASE__SQL_ALCHEMY_CONNECT_ARGS_ASYNC=_CONNECT_ARGUMENTS,
        )
        moved.dags.mkdir()
        moved._query("pragma journal_mode=wal")  # as Airflow 3: readers and a writer do not wait
        return moved

    def run(
        self, args: Sequence[str | Path], *, check: bool = True, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run ``airflow ARGS``, stderr in ``stdout``. With ``check``, an error fails the test."""
        return self.run_python(["-m", "airflow", *args], check=check, timeout=timeout)

    def run_python(
        self, args: Sequence[str | Path], *, check: bool = True, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run ``python ARGS`` of the environment, as :meth:`run` does."""
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
        """Return what ``support/dag_probe.py`` prints about DAG files: workflow id -> ``errors``,
        ``warnings``, and ``dags`` by their ids."""
        # -P: the directory of the script has this file, whose name is that of Airflow.
        output = self.run_python(["-P", Path(dag_probe.__file__), *sorted(files)]).stdout
        (line,) = (line for line in output.splitlines() if line.startswith(dag_probe.MARK))
        found = json.loads(line.removeprefix(dag_probe.MARK))
        return {name.partition("__v")[0]: answer for name, answer in found.items()}

    def run_in_turn(self, *commands: Sequence[str]) -> list[str]:
        """Run ``airflow COMMAND`` for each command, and return their outputs. They may fail.

        They share one process, because Airflow's imports take most of the time of each command.
        """
        arguments = json.dumps([["airflow", *command] for command in commands])
        output = self.run_python(["-c", _RUN_COMMANDS, arguments], timeout=600).stdout
        return output.split(_SEPARATOR)[1:]

    def test_dags(self, *runs: tuple[str, str]) -> dict[str, str]:
        """Run ``airflow dags test DAG_ID DATE`` for each run, and return DAG id -> output.

        Runs may fail: :meth:`run_states` returns their states.
        """
        outputs = self.run_in_turn(*(["dags", "test", *run] for run in runs))
        return {dag_id: output for (dag_id, _), output in zip(runs, outputs, strict=True)}

    def task_instances(self, dag_id: str) -> list[TaskInstance]:
        """Return the tasks of all runs of a DAG, in the order of their ends."""
        rows = self._query(
            "select dag_id, run_id, task_id, state, try_number from task_instance"
            " where dag_id = ? order by end_date",
            dag_id,
        )
        return [TaskInstance(*row) for row in rows]

    def run_states(self, dag_id: str) -> dict[str, str]:
        """Return run id -> state for a DAG, in the order of creation."""
        rows = self._query("select run_id, state from dag_run where dag_id = ? order by id", dag_id)
        return dict(rows)

    def runs(self, dag_id: str) -> list[DagRun]:
        """Return the runs of a DAG, in the order of creation."""
        rows = self._query(
            "select run_id, run_type, state, data_interval_start from dag_run where dag_id = ?"
            " order by id",
            dag_id,
        )
        return [
            DagRun(run_id, kind, state, str(start or "")[:19].replace("T", " "))
            for run_id, kind, state, start in rows
        ]

    def is_paused(self, dag_id: str) -> bool | None:
        """Return whether a DAG is paused, or None before Airflow knows it."""
        rows = self._query("select is_paused from dag where dag_id = ?", dag_id)
        return bool(rows[0][0]) if rows else None

    def tags(self, dag_id: str) -> set[str]:
        """Return the tags of a DAG."""
        return {
            name for (name,) in self._query("select name from dag_tag where dag_id = ?", dag_id)
        }

    def run_times(self, dag_id: str) -> list[str]:
        """Return the time of each run of a DAG in UTC, as ``2026-01-01 00:00:00``."""
        column = "run_after" if self.major > 2 else "execution_date"  # the schema's names
        rows = self._query(f"select {column} from dag_run where dag_id = ? order by id", dag_id)
        return [str(moment)[:19].replace("T", " ") for (moment,) in rows]

    def _query(self, statement: str, *parameters: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self.database, _LOCK_SECONDS)) as connection:
            return connection.execute(statement, parameters).fetchall()


def kubernetes_connection(kubeconfig: Mapping[str, Any]) -> str:
    """Return the value of an ``AIRFLOW_CONN_...`` variable for the cluster of a kubeconfig."""
    extra = {"kube_config": json.dumps(kubeconfig)}
    return json.dumps({"conn_type": "kubernetes", "extra": extra})


def installed_airflow(release: AirflowRelease, home: Path) -> Airflow:
    """Return the release with a new home. Install it first if needed, or else end the test."""
    cache = Path(os.environ.get("BIGFLOW_AIRFLOW_CACHE") or REPOSITORY / ".cache" / "airflow")
    place = cache / f"{release.text}-python{release.python}"
    try:
        with _lock(place):
            python = _complete_installation(place, release)
    except subprocess.CalledProcessError as error:
        _unavailable(f"Airflow {release.text} could not be installed: {error.output}")
    return Airflow(release, python, home).with_home(home)


def _complete_installation(place: Path, release: AirflowRelease) -> Path:
    """Return the Python of the installation in ``place``, which is made if it is not complete.

    The marker is written last, so that an interrupted installation is made again. Nothing can be
    moved into place: the scripts of a virtual environment contain its path.
    """
    marker, environment = place / "complete", place / "venv"
    python = environment / "bin" / "python"
    if marker.is_file():
        return python
    shutil.rmtree(place, ignore_errors=True)
    uv_path = uv.find_uv_bin()
    newest = ["--exclude-newer", release.exclude_newer] if release.exclude_newer else []
    requirements = [release.requirement, PROVIDER]
    _call(uv_path, "venv", "-q", "--no-python-downloads", "--python", release.python, environment)
    _call(uv_path, "pip", "install", "--quiet", "--python", python, *newest, *requirements)
    template = Airflow(release, python, place / "home")
    template.dags.mkdir(parents=True)
    _call(python, "-m", "airflow", "db", "migrate", env=template.environment)
    marker.touch()
    return python


def _migrated_database(python: Path) -> Path:
    return python.parents[2] / "home" / "airflow.db"


def _call(*command: str | Path, env: Mapping[str, str] | None = None) -> None:
    subprocess.run(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )


@contextlib.contextmanager
def _lock(place: Path) -> Iterator[None]:
    """Let one process at a time install a release. The kernel releases the lock of a dead one."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name(f"{place.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _unavailable(reason: str) -> NoReturn:
    if os.environ.get("BIGFLOW_REQUIRE_AIRFLOW") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test that uses an Airflow."""
    for item in items:
        if isinstance(item, pytest.Function) and not FIXTURES.isdisjoint(item.fixturenames):
            item.add_marker(pytest.mark.airflow)


@pytest.fixture(scope="session")
def airflow_2(tmp_path_factory: pytest.TempPathFactory) -> Airflow:
    """Return the newest Airflow 2, with a home of this session."""
    return installed_airflow(AIRFLOW_2, tmp_path_factory.mktemp("airflow_2"))


@pytest.fixture(scope="session")
def airflow_3(tmp_path_factory: pytest.TempPathFactory) -> Airflow:
    """Return the newest Airflow 3, with a home of this session."""
    return installed_airflow(AIRFLOW_3, tmp_path_factory.mktemp("airflow_3"))


@pytest.fixture(scope="session", params=["airflow_2", "airflow_3"])
def airflow(request: pytest.FixtureRequest) -> Airflow:
    """Return each of the two in turn."""
    found: Airflow = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session", params=EACH, ids=lambda release: release.text)
def each_airflow(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Airflow:
    """Return each of :data:`EACH` in turn."""
    release: AirflowRelease = request.param
    return installed_airflow(release, tmp_path_factory.mktemp(f"airflow_{release.text}"))
