"""The Airflow of the tests works, and each test has its own home directory."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from support.airflow import AIRFLOW_2, installed_airflow

if TYPE_CHECKING:
    from pathlib import Path

    from support.airflow import Airflow

DAG = """\
import pendulum
try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

with DAG("harness", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC")):
    KubernetesPodOperator(task_id="only", name="only", image="none")
"""


@pytest.mark.slow
def test_it_is_the_right_release_and_parses_a_dag(airflow_3: Airflow, tmp_path: Path) -> None:
    fresh = airflow_3.with_home(tmp_path / "home")
    (fresh.dags / "harness_dag.py").write_text(DAG)
    program = (
        "import airflow\n"
        "from airflow.models.dagbag import DagBag\n"
        "bag = DagBag()\n"
        "print(airflow.__version__, dict(bag.import_errors), sorted(bag.dags))"
    )
    lines = fresh.run_python(["-c", program]).stdout.splitlines()
    assert lines[-1] == f"{airflow_3.version} {{}} ['harness']"
    assert fresh.task_instances("harness") == []


def test_a_release_without_a_python_skips_or_fails_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIGFLOW_AIRFLOW_CACHE", str(tmp_path))
    monkeypatch.delenv("BIGFLOW_REQUIRE_AIRFLOW", raising=False)
    release = dataclasses.replace(AIRFLOW_2, python="3.5")
    reason = "Airflow 2.11.2 could not be installed: error: "
    with pytest.raises(pytest.skip.Exception, match=reason):
        installed_airflow(release, tmp_path / "home")
    monkeypatch.setenv("BIGFLOW_REQUIRE_AIRFLOW", "1")
    with pytest.raises(pytest.fail.Exception, match=reason):
        installed_airflow(release, tmp_path / "home")
