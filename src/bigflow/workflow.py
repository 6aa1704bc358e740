"""A workflow: jobs, their order and their schedule."""

from __future__ import annotations

import sys
from datetime import timedelta

from bigflow.asset import Asset
from bigflow.describe.fields import WorkflowAttributes, attribute, check_names, table
from bigflow.errors import BigflowError, shown
from bigflow.graph import Definition, InvalidJobGraph
from bigflow.job import Job, JobContext, execute_job
from bigflow.start_time import daily_start_time, hourly_start_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date, datetime
    from types import FrameType
    from typing import Any

    from bigflow.job import AnyJob

__all__ = [
    "DEFAULT_EXECUTION_TIMEOUT",
    "DEFAULT_EXECUTION_TIMEOUT_IN_SECONDS",
    "DEFAULT_PIPELINE_LEVEL_EXECTION_TIMEOUT",
    "DEFAULT_PIPELINE_LEVEL_EXECUTION_TIMEOUT_SHIFT_IN_SECONDS",
    "DEFAULT_SCHEDULE_INTERVAL",
    "Definition",
    "InvalidJobGraph",
    "Job",
    "JobContext",
    "Workflow",
    "daily_start_time",
    "get_timezone_offset_seconds",
    "hourly_start_time",
]

# Names of BigFlow 1.x, with the typing error that it has.
DEFAULT_SCHEDULE_INTERVAL = "@daily"
DEFAULT_EXECUTION_TIMEOUT = timedelta(hours=3)
DEFAULT_EXECUTION_TIMEOUT_IN_SECONDS = 10800.0
DEFAULT_PIPELINE_LEVEL_EXECTION_TIMEOUT = timedelta(minutes=2)
DEFAULT_PIPELINE_LEVEL_EXECUTION_TIMEOUT_SHIFT_IN_SECONDS = 120.0

if not TYPE_CHECKING:  # else type checkers accept every name

    def __getattr__(name: str) -> Any:
        if name.startswith("__"):  # each `from ... import` asks for __path__
            raise AttributeError(name)
        from bigflow.absent import refuse_name

        refuse_name(__name__, name)


@table
class Workflow(WorkflowAttributes):
    """Jobs, their order and their schedule: the source of one Airflow DAG.

    :param workflow_id: letters, digits, ``_`` and ``-``; unique in the project.
    :param definition: a ``Definition``, or its argument: a list of jobs, or a dict.
    :param schedule_interval: a cron expression or preset, a ``timedelta``, ``"@once"``,
        ``"@continuous"``, an ``Asset`` or a list of assets, or None for manual runs only.
    :param start_time_factory: a function from the start time of the build to the first runtime,
        both in the workflow's time zone: see ``bigflow.start_time``.
    :param start_date: the first runtime itself, in the workflow's time zone: a ``date``, a
        ``datetime``, or one as text, such as ``"2026-01-31"``.
    :param log_config: of BigFlow 1.x, without effect: a build warns of it.

    The other keywords are on the page "Attributes of workflows and jobs".

    :raises BigflowError: for an invalid id, schedule or definition.
    """

    made_in: str | None = None
    """The module that created this object: a pod imports it to get the object again."""

    if TYPE_CHECKING:  # type checkers make the parameters from these lines and from the table
        workflow_id: str = attribute(kw_only=False)
        definition: Definition | Any = attribute(kw_only=False)
        schedule_interval: str | timedelta | Asset | Sequence[Asset] | None = attribute(
            default="@daily", kw_only=False
        )
        start_time_factory: Callable[[datetime], datetime] = attribute(
            default=daily_start_time, kw_only=False
        )
        start_date: date | str | None = attribute(default=None)
        log_config: Mapping[str, Any] | None = attribute(default=None)
    else:

        def __init__(
            self,
            workflow_id: str,
            definition: Any,
            schedule_interval: Any = "@daily",
            start_time_factory: Callable[[datetime], datetime] = daily_start_time,
            *,
            start_date: date | str | None = None,
            log_config: Mapping[str, Any] | None = None,
            **attributes: Any,
        ) -> None:
            _check(workflow_id, schedule_interval)
            if start_date is not None and start_time_factory is not daily_start_time:
                raise BigflowError(
                    f"workflow {workflow_id!r} has a start_date and a start_time_factory",
                    hint="keep one of them",
                )
            check_names(self, WorkflowAttributes, attributes, _ARGUMENTS)
            self.workflow_id = workflow_id
            self.definition = (
                definition if isinstance(definition, Definition) else Definition(definition)
            )
            self.schedule_interval = schedule_interval
            self.start_time_factory = start_time_factory
            self.start_date = start_date
            self.log_config = log_config
            vars(self).update(attributes)
            self.made_in = _importing_module()

    def __repr__(self) -> str:
        return f"<Workflow {self.workflow_id!r}>"

    def run(
        self, runtime: str | date | None = None, params: Mapping[str, Any] | None = None
    ) -> None:
        """Run every job in this process, one after another, without retries and timeouts.

        :param runtime: the start of the period, in UTC; by default the current time.
        :param params: values that replace those of the workflow's ``params``.

        :raises BigflowError: for a runtime that is not a date or a time.
        """
        context = JobContext.make(workflow=self, runtime=runtime, params=params)
        for job in self.definition.jobs:
            execute_job(job, context)

    def run_job(
        self,
        job_id: str,
        runtime: str | date | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        """Run one job in this process.

        :param job_id: the id of the job.
        :param runtime: the start of the period, in UTC; by default the current time.
        :param params: values that replace those of the workflow's ``params``.

        :raises BigflowError: when the workflow does not have this job, or for a runtime that is not
            a date or a time.
        """
        context = JobContext.make(workflow=self, runtime=runtime, params=params)
        execute_job(self.find_job(job_id), context)

    def find_job(self, job_id: str) -> AnyJob:
        """Return the job with this id.

        :raises BigflowError: when the workflow does not have this job.
        """
        for job in self.definition.jobs:
            if job.id == job_id:
                return job
        known = ", ".join(job.id for job in self.definition.jobs) or "none"
        raise BigflowError(
            f"workflow {self.workflow_id!r} has no job {job_id!r}", hint=f"its jobs: {known}"
        )

    def build_sequential_order(self) -> list[AnyJob]:
        """Return the jobs in a valid order of execution."""
        return self.definition.sequential_order()


def get_timezone_offset_seconds() -> int:
    """Return the seconds that the local time of this machine is ahead of UTC, from 0 to 86399."""
    from datetime import datetime

    offset = datetime.now().astimezone().utcoffset()
    return offset.seconds if offset else 0


def _importing_module() -> str | None:
    """Return the name of the innermost module that is being imported now."""
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - importing `inspect` takes 10 ms
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    return frame and frame.f_globals.get("__name__")


_ARGUMENTS = (
    *("workflow_id", "definition", "schedule_interval", "start_time_factory", "start_date"),
)


def _check(workflow_id: object, schedule_interval: object) -> None:
    """Check at import, not at build: the traceback names the line."""
    if not isinstance(workflow_id, str) or not workflow_id:
        raise BigflowError(
            f"the id of a workflow cannot be {shown(workflow_id)}",
            hint="give a string of letters, digits, _ and -",
        )
    if isinstance(schedule_interval, (list, tuple)) and schedule_interval:
        fits = all(isinstance(asset, Asset) for asset in schedule_interval)
    else:
        fits = isinstance(schedule_interval, (str, timedelta, Asset, type(None)))
    if not fits:
        raise BigflowError(
            f"the schedule of workflow {workflow_id!r} cannot be {shown(schedule_interval)}",
            hint="give a cron expression or preset, a timedelta, assets or None",
        )
