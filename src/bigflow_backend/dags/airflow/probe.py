"""Run by the Python of an Airflow, any from 2.7 on: what that Airflow makes of DAG files, as JSON.

Nothing of this package is imported here, and nothing of a project's.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
import warnings
from pathlib import Path
from typing import Any

MARK = "@@bigflow check "
"""Begins the line with the answer; Airflow writes others."""


def main(paths: list[str]) -> None:
    # What these modules warn of at their import is not the files' doing.
    _first("airflow.providers.cncf.kubernetes.operators.pod:KubernetesPodOperator")
    answer = {Path(path).name: _load(path) for path in paths}
    sys.stdout.write(f"\n{MARK}{json.dumps(answer)}\n")


def _load(path: str) -> dict[str, Any]:
    bag_class = _first("airflow.dag_processing.dagbag:DagBag", "airflow.models.dagbag:DagBag")
    known = inspect.signature(bag_class.__init__).parameters
    options = {"include_examples": False} if "include_examples" in known else {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bag = bag_class(path, **options)
    found = [str(w.message) for w in caught if Path(w.filename).name == Path(path).name]
    return {
        "errors": [*bag.import_errors.values(), *_serialisation_faults(bag)],
        "warnings": found,
        "dags": {dag.dag_id: [task.task_id for task in dag.tasks] for dag in bag.dags.values()},
    }


def _serialisation_faults(bag: Any) -> list[str]:
    """The scheduler keeps DAGs as JSON in the database; what cannot be kept never runs."""
    serializer = _first(
        "airflow.serialization.serialized_objects:DagSerialization",
        "airflow.serialization.serialized_objects:SerializedDAG",
    )
    faults = []
    for dag in bag.dags.values():
        try:
            serializer.to_dict(dag)
        except Exception as error:  # noqa: BLE001, PERF203 - whatever it is, it is the answer
            faults.append(f"{dag.dag_id}: {type(error).__name__}: {error}")
    return faults


def _first(*places: str) -> Any:
    """The first of the objects ``module:name`` that this Airflow has."""
    for place in places:
        module, _, name = place.partition(":")
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise ImportError(" or ".join(places))


if __name__ == "__main__":
    main(sys.argv[1:])
