"""The harness's own promises: an Airflow that works, and a home of its own for each user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.airflow import AIRFLOW_2, Release, installed_airflow

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


def test_it_is_the_wanted_release_and_parses_a_dag(airflow: Airflow, tmp_path: Path) -> None:
    fresh = airflow.with_home(tmp_path / "home")
    (fresh.dags / "harness_dag.py").write_text(DAG)
    program = (
        "import airflow\n"
        "from airflow.models.dagbag import DagBag\n"
        "bag = DagBag()\n"
        "print(airflow.__version__, dict(bag.import_errors), sorted(bag.dags))"
    )
    said = fresh.run_python(["-c", program]).stdout.splitlines()
    assert said[-1] == f"{airflow.version} {{}} ['harness']"
    assert fresh.task_instances("harness") == []


def test_an_unknown_release_skips_or_fails_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIGFLOW_AIRFLOW_CACHE", str(tmp_path))
    monkeypatch.delenv("BIGFLOW_REQUIRE_AIRFLOW", raising=False)
    none = Release(AIRFLOW_2.version, pythons=("2.7",))
    with pytest.raises(pytest.skip.Exception, match=r"needs Python 2\.7, and none was found"):
        installed_airflow(none, tmp_path / "home")
    monkeypatch.setenv("BIGFLOW_REQUIRE_AIRFLOW", "1")
    with pytest.raises(pytest.fail.Exception, match=r"needs Python 2\.7"):
        installed_airflow(none, tmp_path / "home")
