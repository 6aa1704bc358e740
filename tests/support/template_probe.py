"""Run by the Python of an Airflow: what its templates make of texts.

A JSON list of texts on standard input; on the marked line what each becomes where an operator has
it as a template, or the error that would fail the task. Nothing of the project is imported here.
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
        except Exception as error:  # noqa: BLE001 - whatever it is, the text was no good
            return {"error": repr(error)}

    answer = [rendered(text) for text in json.load(sys.stdin)]
    sys.stdout.write(f"\n{MARK}{json.dumps(answer)}\n")


if __name__ == "__main__":
    main()
