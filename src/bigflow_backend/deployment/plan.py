"""A build over the current deployment -> the next deployment.

Each data interval belongs to one version, also if the build did not know what is deployed. Then the
start of a new DAG moves to the boundary, and the old DAG retires: :mod:`dags.takeover` decides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, cast

from bigflow_backend.dags.renewed import is_by_hand, is_successor, renewed, renewed_id
from bigflow_backend.dags.takeover import Deployed, take_over
from bigflow_backend.deployment.built import texts_of
from bigflow_backend.deployment.lock import owner
from bigflow_backend.deployment.record import Deployment, new_id
from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    from bigflow_backend.dags.manifest import DagEntry, Manifest
    from bigflow_backend.project.workflows import Schedule, WorkflowDescription

TAKEOVER = timedelta(minutes=10)
"""Airflow reads new files within this time: its default for a directory is 5 minutes."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The next deployment, and how its files differ from those of the current one."""

    current: Deployment | None
    next: Deployment
    new: tuple[str, ...]
    changed: tuple[str, ...]
    retired: tuple[str, ...]
    """The files of DAGs that retire by this deployment."""
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.new or self.changed or self.retired or self.removed)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The inputs of a plan, besides the two deployments."""

    now: datetime
    keep_days: int
    """The longest time for which a retired DAG stays."""
    drained: frozenset[str] = frozenset()
    """The ids of retired DAGs that have no runs any more."""


@dataclass(frozen=True, kw_only=True)
class _Next:
    """The part of a workflow that a takeover reads."""

    id: str
    schedule: Schedule
    timezone: str
    start_date: str


def make_plan(manifest: Manifest, current: Deployment | None, rules: Rules, *, action: str) -> Plan:
    """Return the plan for the DAGs of a build, or of an earlier deployment.

    :raises UserError: if the build was made for an earlier time, or a DAG cannot take over.
    """
    following = _merged(manifest, current, rules)
    texts = texts_of(following)
    old = {} if current is None else current.texts
    retiring = {
        dag.file
        for dag in following.dags
        if dag.retired is not None and current is not None and dag.dag_id in _live(current.manifest)
    }
    changed = {name for name, text in texts.items() if old.get(name, text) != text}
    return Plan(
        current=current,
        next=Deployment(
            id=new_id(rules.now),
            when=rules.now,
            by=owner(),
            action=action,
            previous=None if current is None else current.id,
            manifest=following,
            texts=texts,
        ),
        new=tuple(sorted(name for name in texts if name not in old)),
        changed=tuple(sorted(changed - retiring)),
        retired=tuple(sorted(retiring)),
        removed=tuple(sorted(name for name in old if name not in texts)),
        unchanged=tuple(sorted(name for name in texts if name in old and name not in changed)),
    )


def _merged(manifest: Manifest, current: Deployment | None, rules: Rules) -> Manifest:
    if current is None:
        return manifest
    deployed = current.manifest
    built = {dag.dag_id for dag in manifest.dags}
    if manifest.only or not _live(deployed) <= built or _live(manifest) & _retired(deployed):
        manifest = _takes_over(manifest, deployed, rules)
    else:
        _check_time(manifest, deployed, rules.now)
        manifest = _continued(manifest, deployed)
    known = {dag.dag_id for dag in manifest.dags}
    carried = [dag for dag in deployed.dags if dag.retired is not None and dag.dag_id not in known]
    oldest = rules.now - timedelta(days=rules.keep_days)
    dags = tuple(
        dag
        for dag in (*manifest.dags, *carried)
        if dag.retired is None
        or not (dag.dag_id in rules.drained or dag.retired.since < oldest)
        or dag.dag_id in _live(deployed)
    )
    return replace(manifest, dags=dags)


def _takes_over(manifest: Manifest, deployed: Manifest, rules: Rules) -> Manifest:
    """Let the DAGs take over from those that are deployed, as a build with ``--deployed`` does."""
    start_time = rules.now.astimezone(timezone.utc)
    gone = _retired(deployed)
    entries = {dag.workflow: dag for dag in manifest.dags if dag.retired is None}
    ids = {
        name: renewed_id(dag.dag_id, start_time) if dag.dag_id in gone else dag.dag_id
        for name, dag in entries.items()
    }
    takeover = take_over(
        cast("list[WorkflowDescription]", [_next(dag) for dag in entries.values()]),
        Deployed(
            manifest=deployed,
            takeover=rules.now.replace(microsecond=0) + TAKEOVER,
            keep_days=rules.keep_days,
            drained=rules.drained,
        ),
        dag_id=ids.__getitem__,
        by=manifest.version,
        only=manifest.only,
    )
    before = _by_id(deployed)
    live = [
        _renewed(
            entries[one.id],
            dag_id=ids[one.id],
            start=datetime.fromisoformat(str(one.start_date)),
            old=before.get(ids[one.id]),
            by_hand=one.id in takeover.done,
            succeeds=one.id in takeover.successors,
        )
        for one in takeover.workflows
    ]
    dags = [*live, *takeover.kept, *takeover.retired]
    known = {dag.dag_id for dag in (*dags, *takeover.left_out)}
    dags += [dag for dag in manifest.dags if dag.retired is not None and dag.dag_id not in known]
    return replace(manifest, deploy_before=takeover.deploy_before, dags=tuple(dags))


def _continued(manifest: Manifest, deployed: Manifest) -> Manifest:
    """Keep what an earlier takeover has decided about a DAG that stays."""
    before = _by_id(deployed)
    dags = []
    for dag in manifest.dags:
        old = before.get(dag.dag_id)
        if dag.retired is None and old is not None:
            start = max(dag.start, old.start)
            dags.append(_renewed(dag, dag_id=dag.dag_id, start=start, old=old))
        else:
            dags.append(dag)
    return replace(manifest, dags=tuple(dags))


def _renewed(
    dag: DagEntry,
    *,
    dag_id: str,
    start: datetime,
    old: DagEntry | None,
    by_hand: bool = False,
    succeeds: bool = False,
) -> DagEntry:
    """Return the DAG with another id and start, as its deployed state ``old`` if it has one."""
    if old is not None:
        by_hand = by_hand or (dag.schedule.kind == "once" and is_by_hand(old))
        succeeds = succeeds or is_successor(old)
    return renewed(dag, dag_id=dag_id, start=start, by_hand=by_hand, succeeds=succeeds)


def _by_id(manifest: Manifest) -> dict[str, DagEntry]:
    """Return the DAGs that are not retired."""
    return {dag.dag_id: dag for dag in manifest.dags if dag.retired is None}


def _check_time(manifest: Manifest, deployed: Manifest, now: datetime) -> None:
    retires = _retired(manifest) & _live(deployed)
    limit = manifest.deploy_before
    if retires and limit is not None and limit <= now:
        raise UserError(
            f"this build had to be deployed before {limit:%Y-%m-%d %H:%M} UTC: now"
            f" {min(retires)} may run an interval of its successor",
            hint="build the DAGs again, without --deployed: bigflow build-dags",
        )


def _next(dag: DagEntry) -> _Next:
    return _Next(
        id=dag.workflow, schedule=dag.schedule, timezone=dag.timezone, start_date=dag.start_date
    )


def _live(manifest: Manifest) -> set[str]:
    return {dag.dag_id for dag in manifest.dags if dag.retired is None}


def _retired(manifest: Manifest) -> set[str]:
    return {dag.dag_id for dag in manifest.dags if dag.retired is not None}
