"""Render texts as templates of an operator. The Python of an Airflow runs this file.

It reads a JSON list of texts from stdin. On the marked line it prints each rendered text, or the
error that fails the task. It imports nothing from the project.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

MARK = "@@templates "


def main() -> None:
    operator: Any = import_module("airflow.providers.cncf.kubernetes.operators.pod")
    with import_module("airflow").DAG("probe", schedule=None) as dag:
        task = operator.KubernetesPodOperator(task_id="probe", name="probe", image="probe")
    environment = dag.get_template_env()

    def rendered(text: str) -> Any:
        try:
            return task.render_template({"VALUE": text}, {}, environment)["VALUE"]
        except Exception as error:  # noqa: BLE001 - each error fails the task
            return {"error": repr(error)}

    result = [rendered(text) for text in json.load(sys.stdin)]
    sys.stdout.write(f"\n{MARK}{json.dumps(result)}\n")


if __name__ == "__main__":
    main()
