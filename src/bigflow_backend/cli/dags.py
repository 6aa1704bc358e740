"""``bigflow dags``: the DAGs of a build or a deployment, and the runs of the retired ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bigflow_backend.cli.deployed import read_deployed
from bigflow_backend.cli.report import print_result
from bigflow_backend.dags.manifest import read_manifest
from bigflow_backend.ground.files import Outputs
from bigflow_backend.ground.foreign.urls import redacted
from bigflow_backend.ground.progress import waiting

if TYPE_CHECKING:
    from bigflow_backend.cli.commands import Call
    from bigflow_backend.dags.airflow.api import Activity
    from bigflow_backend.dags.manifest import DagEntry, Manifest


def dags(call: Call) -> int:
    """List the DAGs of a manifest."""
    path, url = call.values.deployed, call.values.airflow_url
    if path:
        manifest = read_deployed(path, call.project)
    else:
        manifest = read_manifest(Outputs(call.project().root).dags)
    chosen = [dag for dag in manifest.dags if dag.retired or not call.values.retired]
    found: Mapping[str, Activity | None] = {}
    if url is not None:
        from bigflow_backend.dags.airflow.api import activities

        with waiting(f"asking {redacted(url)}"):
            found = activities(url, [dag.dag_id for dag in chosen])
    print_result(
        call.values,
        {"version": manifest.version, "dags": [_as_data(dag, found) for dag in chosen]},
        (_line(dag, found) for dag in chosen),
    )
    return 0


def drained_dags(manifest: Manifest, url: str) -> frozenset[str]:
    """Return the ids of the retired DAGs that have no runs any more in the Airflow ``url``."""
    from bigflow_backend.dags.airflow.api import activities

    found = activities(url, [dag.dag_id for dag in manifest.dags if dag.retired])
    return frozenset(dag_id for dag_id, activity in found.items() if activity and activity.drained)


def _as_data(dag: DagEntry, found: Mapping[str, Activity | None]) -> dict[str, Any]:
    activity = found.get(dag.dag_id)
    return {
        "dag_id": dag.dag_id,
        "file": dag.file,
        "workflow": dag.workflow,
        "version": dag.version,
        "commit": dag.commit,
        "image": dag.image,
        "start_date": dag.start_date,
        "retired": dag.retired
        and {
            "since": f"{dag.retired.since:%Y-%m-%d %H:%M:%S}",
            "end_date": dag.retired.end_date and f"{dag.retired.end_date:%Y-%m-%d %H:%M:%S}",
            "by": dag.retired.by,
        },
        "runs": activity and activity.runs,
        "next_interval": activity and activity.next_interval,
        "drained": activity and activity.drained,
    }


def _line(dag: DagEntry, found: Mapping[str, Activity | None]) -> str:
    return f"{dag.dag_id}: {', '.join(_facts(dag, found))}"


def _facts(dag: DagEntry, found: Mapping[str, Activity | None]) -> Iterator[str]:
    yield f"version {dag.version}" if dag.retired is None else f"retired by {dag.retired.by}"
    if dag.dag_id not in found:
        return
    activity = found[dag.dag_id]
    if activity is None:
        yield "unknown to Airflow"
        return
    yield f"{activity.runs} run{'s' if activity.runs > 1 else ''}" if activity.runs else "no runs"
    if dag.retired is not None and activity.next_interval is not None:
        yield f"still to run {activity.next_interval}"
