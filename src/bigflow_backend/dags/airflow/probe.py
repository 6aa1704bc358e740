"""A program for the Python of any Airflow from 2.7 on. It loads DAG files and prints JSON.

It imports nothing of this package and nothing of the project.

Arguments: the environment variables to run with, as JSON, then the DAG files.
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
from pathlib import Path
from typing import Any

STARTED = "@@bigflow check started"
"""A line that shows that Airflow's Python runs: an error after it is not an error of uv."""
ANSWER = "@@bigflow check answer "
"""The beginning of the line with the answer; Airflow prints other lines."""


def main(variables: str, *paths: str) -> None:
    print(STARTED, flush=True)
    os.environ.clear()
    os.environ.update(json.loads(variables))
    # Warnings of these modules are not warnings about the DAG files.
    _first("airflow.providers.cncf.kubernetes.operators.pod:KubernetesPodOperator")
    sys.dont_write_bytecode = True  # no __pycache__ beside the DAG files
    answer = {
        "airflow": importlib.metadata.version("apache-airflow"),
        "provider": importlib.metadata.version("apache-airflow-providers-cncf-kubernetes"),
        "python": ".".join(platform.python_version_tuple()[:2]),
        "files": {Path(path).name: _load(path) for path in paths},
    }
    sys.stdout.write(f"\n{ANSWER}{json.dumps(answer)}\n")


def _load(path: str) -> dict[str, Any]:
    bag_class = _first("airflow.dag_processing.dagbag:DagBag", "airflow.models.dagbag:DagBag")
    known = inspect.signature(bag_class.__init__).parameters
    options = {"include_examples": False} if "include_examples" in known else {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bag = bag_class(path, **options)
    found = [str(w.message) for w in caught if Path(w.filename).name == Path(path).name]
    return {
        "errors": [*bag.import_errors.values(), *_serialization_errors(bag)],
        "warnings": found,
        "dags": {dag.dag_id: [task.task_id for task in dag.tasks] for dag in bag.dags.values()},
    }


def _serialization_errors(bag: Any) -> list[str]:
    """Return the errors of DAGs that the scheduler cannot keep as JSON in its database."""
    serializer = _first(
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


def _first(*places: str) -> Any:
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
