"""A program for the Python of any Airflow from 2.7 on. It runs a DAG as `airflow dags test` does.

Its input is a line of JSON: the settings. It prints an event as a line of JSON when the file is
loaded, waits for another line with more variables, and runs the DAG. Then each try of a task has
two events and a file with its log. All else that Airflow prints goes into ``airflow.log``.

It imports nothing of this package but the probe, which lies beside it.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import inspect
import json
import logging
import os
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bigflow_backend.dags.airflow import probe
else:
    import bigflow_probe as probe

_OPERATOR = "airflow.providers.cncf.kubernetes.operators.pod:KubernetesPodOperator"
_BAGS = ("airflow.dag_processing.dagbag:DagBag", "airflow.models.dagbag:DagBag")
_COUNTS_TRIES = (2, 10)
_FORMAT = "[%(asctime)s] {%(filename)s:%(lineno)d} %(levelname)s - %(message)s"
_RUNNER_OF_2 = "airflow.models.dag"
_RUNNERS = ("airflow.sdk.definitions.dag", _RUNNER_OF_2)
"""The modules with `_run_task`, which runs one try of a task."""


def main() -> None:
    settings = json.loads(sys.stdin.readline())
    os.environ.clear()
    os.environ.update(settings["environment"])
    logs = Path(settings["logs"])
    events = Events(logs / "airflow.log")
    sys.dont_write_bytecode = True  # no __pycache__ beside the DAG file
    probe.first(_OPERATOR)
    dag, errors = _load(settings["file"])
    asked: dict[str, None] = {}
    pods: dict[str, Any] = {}
    if dag is not None:
        again, _ = _load(settings["file"])  # rendering changes the operators
        for task in again.tasks:
            pods[task.task_id] = _pod(again, task.task_id, asked)
    events.send(
        "loaded",
        airflow=importlib.metadata.version("apache-airflow"),
        provider=importlib.metadata.version("apache-airflow-providers-cncf-kubernetes"),
        errors=errors,
        pods=pods,
        variables=list(asked),
    )
    more = sys.stdin.readline()
    if dag is None or not more:
        return
    os.environ.update(json.loads(more))
    probe.first("airflow.utils.db:initdb")()
    _adapt(dag, settings)
    if settings["until"]:
        dag = dag.partial_subset(
            [settings["until"]], include_upstream=True, include_downstream=False
        )
    _observe(events, logs)
    state, tasks = _run(dag, datetime.fromisoformat(settings["date"]))
    events.send("ended", state=state, tasks=tasks)


class Events:
    """The lines for the process that has started this one."""

    def __init__(self, log: Path) -> None:
        self._file = os.fdopen(os.dup(1), "w", encoding="utf-8")
        self.redirect(log)

    def send(self, event: str, **values: Any) -> None:
        self._file.write(json.dumps({"event": event, **values}) + "\n")
        self._file.flush()

    def redirect(self, log: Path) -> None:
        """Append what is written to stdout and stderr to a file from now on."""
        sys.stdout.flush()
        sys.stderr.flush()
        with log.open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)

    @contextlib.contextmanager
    def redirected(self, log: Path) -> Iterator[None]:
        before = os.dup(1)
        self.redirect(log)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(before, 1)
            os.dup2(before, 2)
            os.close(before)


def _load(path: str) -> tuple[Any, list[str]]:
    bag = probe.first(*_BAGS)(path, **probe.bag_options(probe.first(*_BAGS)))
    dags = list(bag.dags.values())
    errors = [str(error) for error in bag.import_errors.values()]
    if len(dags) != 1 and not errors:
        errors = [f"the file must define one DAG: got {len(dags)}"]
    return (None, errors) if errors else (dags[0], [])


def _pod(dag: Any, task: str, asked: dict[str, None]) -> Any:
    """Return the manifest of a task's pod. ``asked`` gets the names of the Variables it reads."""
    variables = {"value": _Asked(asked), "json": _Asked(asked)}
    return probe.pod_of(dag, task, variables)


class _Asked(dict[str, str]):
    """Airflow Variables, all with the same value. It keeps the names."""

    def __init__(self, asked: dict[str, None]) -> None:
        super().__init__()
        self._asked = asked

    def get(self, _key: str, default: Any = None) -> Any:
        return default or "-"  # a Variable with a default may be missing

    def __missing__(self, key: str) -> str:
        self._asked[key] = None
        return "-"

    def __getattr__(self, key: str) -> str:
        if key.startswith("__"):
            raise AttributeError(key)
        return self[key]


def _adapt(dag: Any, settings: Any) -> None:
    """Use the Kubernetes of the connection, shorten the pauses, and do not call people."""
    start = probe.first("pendulum:instance")(datetime.fromisoformat(settings["date"]))
    for owner in (dag, *dag.tasks):
        for name in ("on_failure_callback", "on_success_callback", "on_retry_callback"):
            if getattr(owner, name, None):
                setattr(owner, name, None if owner is dag else [])
        if owner.start_date and owner.start_date > start:
            owner.start_date = start
    runner = inspect.signature(vars(_runner())["_run_task"]).parameters
    has_triggers = not {"run_triggerer", "inline_trigger"}.isdisjoint(runner)
    for task in dag.tasks:
        # Cloud Composer has this file; the connection has the Kubernetes of the rehearsal.
        task.config_file = task.in_cluster = task.cluster_context = None
        if not has_triggers:
            task.deferrable = False  # nothing would resume it
        task.retry_delay = min(task.retry_delay, timedelta(seconds=settings["pause"]))
        if settings["no_retries"]:
            task.retries = 0


def _observe(events: Events, logs: Path) -> None:
    """Send events before and after each try of a task. Its output goes to a file of its own."""
    module = _runner()
    run_task = vars(module)["_run_task"]
    tries: dict[str, int] = {}
    if module.__name__ == _RUNNER_OF_2:
        _log_as_tasks_do()

    def observed(*args: Any, **named: Any) -> Any:
        instance = named["ti"] if "ti" in named else args[0]
        task = instance.task_id
        number = tries[task] = tries.get(task, 0) + 1
        events.send("started", task=task, number=number)
        if module.__name__ == _RUNNER_OF_2:
            _complete(instance, named["session"] if "session" in named else args[1])
        try:
            with events.redirected(logs / f"{task}.{number}.log"):
                return run_task(*args, **named)
        finally:
            events.send("tried", task=task, number=number, state=_state(instance))

    vars(module)["_run_task"] = observed


def _complete(instance: Any, session: Any) -> None:
    """Do for a task of Airflow 2 what its scheduler does, and `airflow dags test` does not."""
    instance.start_date = probe.first("airflow.utils.timezone:utcnow")()  # deferrable tasks read it
    if _has_old_tries():
        vars(type(instance))["_try_number"].__set__(instance, instance.try_number)
        instance.state = "running"
    session.merge(instance)
    session.commit()


def _has_old_tries() -> bool:
    """Return whether this is an Airflow before 2.10, whose `dags test` does not count the tries."""
    major, minor = importlib.metadata.version("apache-airflow").split(".")[:2]
    return (int(major), int(minor)) < _COUNTS_TRIES


def _log_as_tasks_do() -> None:
    """Print what all loggers of Airflow 2 log, as a task's process does."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter(_FORMAT))
    root, task = logging.getLogger(), logging.getLogger("airflow.task")
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    # `dags test` adds a handler, unless there is one: each line would be there twice.
    task.handlers = [_Silent()]
    task.propagate = True


class _Silent(logging.StreamHandler):  # type: ignore[type-arg]
    """A handler that prints nothing."""

    def emit(self, record: logging.LogRecord) -> None:
        pass


def _runner() -> Any:
    return next(m for m in map(_module, _RUNNERS) if hasattr(m, "_run_task"))


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _run(dag: Any, date: datetime) -> tuple[str, dict[str, str]]:
    """Run the DAG; return the state of the run and of its tasks."""
    moment = probe.first("pendulum:instance")(date)
    name = (
        "logical_date"
        if hasattr(probe.first("airflow.models:TaskInstance"), "dag_version_id")
        else "execution_date"
    )
    run = dag.test(**{name: moment})
    session = probe.first("airflow.settings:Session")()
    if run is None:  # Airflow 2.7
        model = probe.first("airflow.models.dagrun:DagRun")
        run = session.query(model).filter(model.dag_id == dag.dag_id).one()
    instances = run.get_task_instances(session=session)
    return _state(run), {instance.task_id: _state(instance) for instance in instances}


def _state(found: Any) -> str:
    state = found.state
    return str(getattr(state, "value", state) or "none")


if __name__ == "__main__":
    main()
