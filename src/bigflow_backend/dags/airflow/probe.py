"""A program for the Python of any Airflow from 2.7 on. It loads DAG files and prints JSON.

It can also print the manifest of the pod that the operator of a task would create.

It imports nothing of this package and nothing of the project.

Arguments: as JSON, the environment variables to run with; as JSON, ``{"task": ..., "config": ...}``
for a manifest, or null; then the DAG files.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import json
import os
import platform
import sys
import warnings
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

STARTED = "@@bigflow check started"
"""A line that shows that Airflow's Python runs: an error after it is not an error of uv."""
ANSWER = "@@bigflow check answer "
"""The beginning of the line with the answer; Airflow prints other lines."""


def main(variables: str, pod: str, *paths: str) -> None:
    print(STARTED, flush=True)
    os.environ.clear()
    os.environ.update(json.loads(variables))
    # Warnings of these modules are not warnings about the DAG files.
    first("airflow.providers.cncf.kubernetes.operators.pod:KubernetesPodOperator")
    sys.dont_write_bytecode = True  # no __pycache__ beside the DAG files
    answer = {
        "airflow": importlib.metadata.version("apache-airflow"),
        "provider": importlib.metadata.version("apache-airflow-providers-cncf-kubernetes"),
        "python": ".".join(platform.python_version_tuple()[:2]),
        "files": {Path(path).name: _load(path, json.loads(pod)) for path in paths},
    }
    sys.stdout.write(f"\n{ANSWER}{json.dumps(answer)}\n")


def _load(path: str, pod: dict[str, str] | None) -> dict[str, Any]:
    bag_class = first("airflow.dag_processing.dagbag:DagBag", "airflow.models.dagbag:DagBag")
    options = bag_options(bag_class)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bag = bag_class(path, **options)
    found = [str(w.message) for w in caught if Path(w.filename).name == Path(path).name]
    return {
        "errors": [*bag.import_errors.values(), *_serialization_errors(bag)],
        "warnings": found,
        "dags": {dag.dag_id: [task.task_id for task in dag.tasks] for dag in bag.dags.values()},
        "deferrable": [
            task.task_id
            for dag in bag.dags.values()
            for task in dag.tasks
            if getattr(task, "deferrable", False)
        ],
        "pods": [_pod(dag, **pod) for dag in bag.dags.values()] if pod else [],
    }


def _pod(dag: Any, task: str, config: str | None) -> dict[str, Any]:
    return pod_of(dag, task, {"value": _Variables(config)})


def bag_options(bag_class: Any) -> dict[str, bool]:
    """Return the arguments of a DagBag without the examples of Airflow."""
    known = inspect.signature(bag_class.__init__).parameters
    return {"include_examples": False} if "include_examples" in known else {}


def pod_of(dag: Any, task: str, variables: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest of a task's pod, for a run by hand and the first try.

    ``variables`` is ``var`` in its templates.
    """
    operator = dag.get_task(task)
    # The real hook would connect to the cluster.
    vars(operator)["hook"] = SimpleNamespace(is_in_cluster=False, get_namespace=lambda: None)
    context = _context(dag, operator, variables)
    operator.render_template_fields(context, dag.get_template_env())
    pod = operator.build_pod_request_obj(context)
    client = first("kubernetes.client:ApiClient")()
    manifest: dict[str, Any] = client.sanitize_for_serialization(pod)
    return manifest


def _context(dag: Any, operator: Any, variables: dict[str, Any]) -> dict[str, Any]:
    now = first("pendulum:instance")(datetime.now(timezone.utc).replace(microsecond=0))
    # From 3.4 on, only timetables with data intervals have it.
    infer = getattr(dag.timetable, "infer_manual_data_interval", None)
    interval = infer(run_after=now) if infer else SimpleNamespace(start=now, end=now)
    run = SimpleNamespace(
        run_id=f"manual__{now.isoformat()}",
        logical_date=interval.start,
        run_after=now,
        data_interval_start=interval.start,
        data_interval_end=interval.end,
        conf={},
    )
    instance = SimpleNamespace(
        dag_id=dag.dag_id, task_id=operator.task_id, run_id=run.run_id, map_index=-1, try_number=1
    )
    return {
        "dag": dag,
        "task": operator,
        "dag_run": run,
        "run_id": run.run_id,
        "ti": instance,
        "params": dict(dag.params),
        "var": variables,
    }


class _Variables(dict):  # type: ignore[type-arg]
    """The Airflow Variables: all have the value ``config``."""

    def __init__(self, config: str | None) -> None:
        super().__init__()
        self._config = config

    def get(self, _key: str, default: Any = None) -> Any:
        return self._config or default

    def __missing__(self, key: str) -> str:
        return self._config or f"<{key}>"


def _serialization_errors(bag: Any) -> list[str]:
    """Return the errors of DAGs that the scheduler cannot keep as JSON in its database."""
    serializer = first(
        "airflow.serialization.serialized_objects:DagSerialization",
        "airflow.serialization.serialized_objects:SerializedDAG",
    )
    errors = []
    for dag in bag.dags.values():
        try:
            serializer.to_dict(dag)
        except Exception as error:  # noqa: BLE001, PERF203 - the answer reports any error
            errors.append(f"{dag.dag_id}: {type(error).__name__}: {error}")
    return errors


def first(*places: str) -> Any:
    """Return the first of the objects ``module:name`` that this Airflow has."""
    for place in places:
        module, _, name = place.partition(":")
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise ImportError(" or ".join(places))


if __name__ == "__main__":
    main(*sys.argv[1:])
