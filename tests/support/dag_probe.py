"""Load DAG files and print their DAGs as JSON. The Python of an Airflow runs this file.

It imports nothing from the project or its tests.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import sys
import warnings
from datetime import datetime, timedelta, timezone
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK = "@@probe "
"""The start of the line with the result. Airflow prints other lines."""

OBJECTS = (
    *("affinity", "container_security_context", "dns_config", "env_from", "host_aliases"),
    *("security_context", "volume_mounts", "volumes"),
)
LOGICAL_DATE = datetime(2026, 1, 2, tzinfo=timezone.utc)
RUN_AFTER = datetime(2026, 1, 3, 4, 5, 6, tzinfo=timezone.utc)


def first_found(*places: str) -> Any:
    """Return the first of the objects ``module:name`` that exists in this Airflow."""
    for place in places:
        module, _, name = place.partition(":")
        with contextlib.suppress(ImportError, AttributeError):
            return getattr(import_module(module), name)
    raise ImportError(places)


def load(path: str) -> tuple[Any, list[str]]:
    """Return the DagBag of one file, and the warnings with its name."""
    bag_class = first_found("airflow.dag_processing.dagbag:DagBag", "airflow.models.dagbag:DagBag")
    known = inspect.signature(bag_class.__init__).parameters
    options = {"include_examples": False} if "include_examples" in known else {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bag = bag_class(path, **options)
    found = [str(w.message) for w in caught if Path(w.filename).name == Path(path).name]
    # An asset makes 2.10 import libraries that have warnings of their own.
    for captured in getattr(bag, "captured_warnings", {}).values():
        found += [str(warning) for warning in captured if Path(path).name in str(warning)]
    return bag, found


def describe(dag: Any) -> dict[str, Any]:
    return {
        "doc_md": dag.doc_md,
        "description": dag.description,
        "tags": sorted(dag.tags),
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "end_date": dag.end_date and f"{scheduled(dag).end_date:%Y-%m-%d %H:%M:%S}",
        "paused": dag.is_paused_upon_creation,
        "params": dag.params.dump(),
        "triggers": triggers(dag),
        "runs": [[str(run.logical_date), str(run.run_after)] for run in first_runs(scheduled(dag))],
        "tasks": {task.task_id: describe_task(dag, task) for task in dag.tasks},
    }


def triggers(dag: Any) -> list[str]:
    """Return the URIs of the assets that start runs."""
    found = (
        getattr(dag.timetable, "asset_condition", None)  # Airflow 3
        or getattr(dag.timetable, "dataset_condition", None)  # 2.10 and 2.11
        or getattr(dag, "dataset_triggers", None)  # a condition in 2.9, before that a list
        or ()
    )
    assets = found if isinstance(found, (list, tuple)) else getattr(found, "objects", ())
    return sorted(asset.uri for asset in assets)


def first_runs(dag: Any) -> Iterator[Any]:
    """Yield the first three scheduled runs."""
    restriction = first_found("airflow.timetables.base:TimeRestriction")
    limits = restriction(earliest=dag.start_date, latest=None, catchup=True)
    last = None
    for _ in range(3):
        info = dag.timetable.next_dagrun_info(last_automated_data_interval=last, restriction=limits)
        if info is None:
            return
        last = info.data_interval
        yield info


def scheduled(dag: Any) -> Any:
    """Return the DAG as the scheduler stores it. Raise an error if it cannot be stored."""
    serializer = first_found(
        "airflow.serialization.serialized_objects:DagSerialization",
        "airflow.serialization.serialized_objects:SerializedDAG",
    )
    return serializer.from_dict(json.loads(json.dumps(serializer.to_dict(dag))))


def describe_task(dag: Any, task: Any) -> dict[str, Any]:
    environment = task.env_vars
    if isinstance(environment, list):
        environment = {v.name: v.value for v in environment if v.value_from is None}
    resources = task.container_resources
    return {
        "upstream": sorted(task.upstream_task_ids),
        "command": render(dag, task, [*task.cmds, *task.arguments], LOGICAL_DATE),
        "runtime without a logical date": render(dag, task, task.cmds[5], None),
        "environment": render(dag, task, environment, LOGICAL_DATE),
        "name": render(dag, task, task.name, LOGICAL_DATE),
        "retries": task.retries,
        "timeout": task.execution_timeout and task.execution_timeout.total_seconds(),
        "depends_on_past": task.depends_on_past,
        "callback": callback_name(task.on_failure_callback),
        "deadline": task.active_deadline_seconds,
        "messages": [task.log_pod_spec_on_failure, task.termination_message_policy],
        "startup_check": task.startup_check_interval_seconds,
        "variables": variables(task),
        "outlets": [asset.uri for asset in task.outlets],
        "resources": resources and {"requests": resources.requests, "limits": resources.limits},
        "on_finish_action": task.on_finish_action.value,
        "objects": {name: manifest(dag, task, name) for name in OBJECTS},
    }


def variables(task: Any) -> Any:
    """Return the environment variables that are references, in the form for Kubernetes."""
    given = task.env_vars if isinstance(task.env_vars, list) else []
    # Newer providers add these when the task runs.
    given = [*given, *(getattr(task, "pod_runtime_info_envs", None) or [])]
    client = first_found("kubernetes.client:ApiClient")()
    return client.sanitize_for_serialization([v for v in given if v.value_from is not None])


def manifest(dag: Any, task: Any, name: str) -> Any:
    """Return an argument, rendered by Airflow, in the form for Kubernetes."""
    client = first_found("kubernetes.client:ApiClient")()
    value = getattr(task, name)
    if name in task.template_fields:
        value = render(dag, task, value, LOGICAL_DATE)
    return client.sanitize_for_serialization(value)


def callback_name(callback: Any) -> Any:
    if isinstance(callback, (list, tuple)):
        return [callback_name(part) for part in callback]
    return getattr(callback, "__name__", None)


def render(dag: Any, task: Any, content: Any, logical_date: datetime | None) -> Any:
    """Return a rendered template field, or the error that fails the task."""
    variables = first_found(
        "airflow.sdk.execution_time.context:VariableAccessor",
        "airflow.utils.context:VariableAccessor",
    )
    pendulum = import_module("pendulum")
    interval = {
        "data_interval_start": logical_date,
        "data_interval_end": logical_date and logical_date + timedelta(days=1),
    }
    run_after = pendulum.instance(RUN_AFTER)
    context = {
        "dag": dag,
        "dag_run": SimpleNamespace(logical_date=logical_date, run_after=run_after, **interval),
        "run_id": "scheduled__$(HOME)",
        "ti": SimpleNamespace(try_number=1),
        "params": {"note": "it's <$(HOME)> {{ 1 }}"},
        "var": {"value": variables(deserialize_json=False)},
    }
    try:
        return task.render_template(content, context, dag.get_template_env())
    except Exception as error:  # noqa: BLE001 - each release raises other errors
        return {"error": str(error)}


def replace_supervisor() -> None:
    """Answer requests for Variables in Airflow 3.0, where a supervisor process answers them."""
    if not import_module("airflow").__version__.startswith("3.0."):
        return
    comms = import_module("airflow.sdk.execution_time.comms")
    missing = import_module("airflow.sdk.exceptions").ErrorType.VARIABLE_NOT_FOUND

    def send(request: Any) -> Any:
        value = os.environ.get(f"AIRFLOW_VAR_{request.key.upper()}")
        if value is None:
            return comms.ErrorResponse(error=missing, detail={"key": request.key})
        return comms.VariableResult(key=request.key, value=value)

    runner = import_module("airflow.sdk.execution_time.task_runner")
    vars(runner)["SUPERVISOR_COMMS"] = SimpleNamespace(send=send)


def main(paths: list[str]) -> None:
    replace_supervisor()
    first_found("airflow.providers.cncf.kubernetes.operators.pod:KubernetesPodOperator")
    result = {}
    for path in paths:
        bag, found = load(path)
        result[Path(path).name] = {
            "errors": list(bag.import_errors.values()),
            "warnings": found,
            "dags": {dag.dag_id: describe(dag) for dag in bag.dags.values()},
        }
    sys.stdout.write(f"\n{MARK}{json.dumps(result)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
