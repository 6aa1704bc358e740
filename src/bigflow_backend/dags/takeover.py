"""Deployed DAGs + new workflows -> who runs which data intervals.

Each interval belongs to one version. The old version keeps all intervals that end before the
takeover, also those that it still has to catch up with. The new version starts at that boundary.
Nothing here depends on what Airflow has done so far, which a build cannot know.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from bigflow_backend.dags.manifest import DagEntry, Manifest, Retirement
from bigflow_backend.dags.rules.location import Location
from bigflow_backend.dags.rules.zones import find_zone
from bigflow_backend.dags.timetable import timetable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from bigflow_backend.dags.timetable import CronTimetable, DeltaTimetable
    from bigflow_backend.project.workflows import WorkflowDescription

_SECOND = timedelta(seconds=1)
_NEVER = datetime.max.replace(tzinfo=timezone.utc)
_TIMED = ("cron", "timedelta", "continuous")
"""The schedules whose runs process one data interval after the other."""


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """The deployed DAGs, and the time when the new build takes over."""

    manifest: Manifest
    takeover: datetime
    """UTC. The deployment should happen near this time."""
    keep_days: int
    """The longest time for which a retired DAG is written again."""
    drained: frozenset[str] = frozenset()
    """The ids of retired DAGs that have no runs any more."""


@dataclass(frozen=True, kw_only=True)
class Takeover:
    """The result for one build."""

    workflows: Sequence[WorkflowDescription]
    """The new workflows, with the start dates that continue the deployed ones."""
    successors: frozenset[str] = frozenset()
    """The ids of workflows whose new DAG takes over from another DAG."""
    done: frozenset[str] = frozenset()
    """The ids of ``@once`` workflows whose one run belongs to the deployed version."""
    retired: tuple[DagEntry, ...] = ()
    kept: tuple[DagEntry, ...] = ()
    """Deployed DAGs of workflows that this build does not build."""
    left_out: tuple[DagEntry, ...] = ()
    """Retired DAGs that are not written again."""
    deploy_before: datetime | None = None


@dataclass
class _Decisions:
    started: list[WorkflowDescription] = field(default_factory=list)
    successors: set[str] = field(default_factory=set)
    done: set[str] = field(default_factory=set)
    retired: list[DagEntry] = field(default_factory=list)
    limits: list[datetime] = field(default_factory=list)


def take_over(
    workflows: Sequence[WorkflowDescription],
    deployed: Deployed,
    *,
    dag_id: Callable[[str], str],
    by: str,
    only: Collection[str] = (),
) -> Takeover:
    """Decide which deployed DAGs retire, and where each new DAG starts.

    ``dag_id`` returns the new id of a workflow's DAG, ``by`` is the new version, and ``only`` has
    the ids of the workflows that this build is for: DAGs of others stay as they are.

    :raises UserError: if this machine does not know a time zone of the manifest.
    """
    moment = deployed.takeover.astimezone(timezone.utc)
    live = {dag.workflow: dag for dag in deployed.manifest.dags if dag.retired is None}
    built = {dag_id(workflow.id) for workflow in workflows}
    made = _Decisions()
    for workflow in workflows:
        old = live.get(workflow.id)
        if old is None:
            made.started.append(workflow)
        elif old.dag_id == dag_id(workflow.id):
            made.started.append(_continued(workflow, old))
        else:
            _succeed(workflow, old, moment, by, made)
    known = {workflow.id for workflow in workflows}
    others = [dag for name, dag in live.items() if name not in known]
    if not only:
        for dag in others:
            _retire(dag, _boundary(dag, moment), moment, by, made)
    earlier = [
        dag for dag in deployed.manifest.dags if dag.retired is not None and dag.dag_id not in built
    ]
    old_enough = moment - timedelta(days=deployed.keep_days)
    left_out = [
        dag
        for dag in earlier
        if dag.dag_id in deployed.drained or (dag.retired and dag.retired.since < old_enough)
    ]
    return Takeover(
        workflows=made.started,
        successors=frozenset(made.successors),
        done=frozenset(made.done),
        retired=(*made.retired, *(dag for dag in earlier if dag not in left_out)),
        kept=tuple(others) if only else (),
        left_out=tuple(left_out),
        deploy_before=min((x for x in made.limits if x != _NEVER), default=None),
    )


def _continued(workflow: WorkflowDescription, old: DagEntry) -> WorkflowDescription:
    """Return the workflow for the DAG that is deployed: its start date does not move back."""
    start = max(_start(workflow), old.start)
    return _starting(workflow, start)


def _succeed(
    workflow: WorkflowDescription, old: DagEntry, moment: datetime, by: str, made: _Decisions
) -> None:
    """Let a new DAG continue where ``old`` ends."""
    made.successors.add(workflow.id)
    if workflow.schedule.kind == "once" and old.schedule.kind == "once":
        ran = old.start <= moment
        made.started.append(_starting(workflow, old.start))
        if ran:
            made.done.add(workflow.id)
        _retire(old, moment if ran else old.start, moment, by, made)
        return
    boundary = _boundary(old, moment)
    if old.schedule.kind in _TIMED and workflow.schedule.kind in _TIMED:
        zone = find_zone(workflow.timezone, Location.workflow(workflow.id))
        intervals = timetable(workflow.schedule, zone)
        # A later first runtime of its own is the user's wish: the old DAG runs until then.
        boundary = max(boundary, _start(workflow))
        boundary = intervals.from_on(boundary) if intervals else boundary
        workflow = _starting(workflow, boundary)
    made.started.append(workflow)
    made.limits.append(_retire(old, boundary, moment, by, made))


def _retire(
    old: DagEntry, boundary: datetime, moment: datetime, by: str, made: _Decisions
) -> datetime:
    """Retire a DAG: it keeps its intervals that end at the boundary or before.

    Return the time when it would run another one.
    """
    intervals = timetable(old.schedule, _zone(old))
    end: datetime | None = boundary - _SECOND
    limit = _NEVER
    if intervals is not None:
        last = _last(old, intervals, boundary)
        end, limit = last - _SECOND, intervals.after(last)
    elif old.schedule.kind in {"none", "assets"}:
        end = None  # a run by hand after the end date would have no tasks
    made.retired.append(replace(old, retired=Retirement(since=moment, end_date=end, by=by)))
    return limit


def _boundary(old: DagEntry, moment: datetime) -> datetime:
    """Return the beginning of the deployed DAG's interval that ``moment`` is in."""
    intervals = timetable(old.schedule, _zone(old))
    if intervals is None:
        return moment
    return _last(old, intervals, moment)


def _last(old: DagEntry, intervals: CronTimetable | DeltaTimetable, moment: datetime) -> datetime:
    """Return the last boundary of the deployed DAG up to ``moment``: at least its first."""
    first = intervals.from_on(old.start.astimezone(timezone.utc))
    return max(first, intervals.up_to(moment, first))


def _start(workflow: WorkflowDescription) -> datetime:
    return datetime.fromisoformat(str(workflow.start_date)).astimezone(timezone.utc)


def _starting(workflow: WorkflowDescription, start: datetime) -> WorkflowDescription:
    zone = find_zone(workflow.timezone, Location.workflow(workflow.id))
    return replace(workflow, start_date=start.astimezone(zone).isoformat())


def _zone(dag: DagEntry) -> tzinfo:
    return find_zone(dag.timezone, Location.workflow(dag.workflow))
