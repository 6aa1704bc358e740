"""A workflow: jobs, their order, and when they run."""

from __future__ import annotations

import sys
from datetime import timedelta

from bigflow.errors import BigflowError, shown
from bigflow.graph import Definition, InvalidJobGraph
from bigflow.job import Job, JobContext, execute_job
from bigflow.start_time import daily_start_time, hourly_start_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date, datetime
    from types import FrameType

    from bigflow.graph import Jobs
    from bigflow.job import AnyJob

__all__ = [
    "Definition",
    "InvalidJobGraph",
    "Job",
    "JobContext",
    "Workflow",
    "daily_start_time",
    "hourly_start_time",
]


class Workflow:
    """Jobs, their order, and when they run: what one Airflow DAG is generated from.

    :param workflow_id: letters, digits and ``_``; unique in the project.
    :param definition: a ``Definition``, or what one is made of.
    :param schedule_interval: a cron expression or preset, a ``timedelta``, ``"@once"``,
        ``"@continuous"``, or None: only by hand.
    :param start_time_factory: from the start time of the build to the first runtime, both on the
        clock of ``timezone``: see ``bigflow.start_time``.
    :param depends_on_past: a job waits for its own run before to have succeeded.
    :param secrets: Kubernetes secrets that each pod gets as environment variables.
    :param env_variable: the Airflow Variable that names the configuration.
    :param timezone: the IANA name of the zone in which the schedule is read.
    :param catchup: Airflow makes up for the runs between the first runtime and now.
    :param max_active_runs: how many runs may be under way at once.
    :param on_failure_callback: the import path, on Airflow, of what is called when a task fails.
    :param tags: the tags of the DAG.
    :param owner: the owner shown by Airflow.
    :param description: the DAG's one line of description.
    :param doc_md: the DAG's documentation, Markdown.
    :param env_default: the configuration to take where Airflow has no such Variable. By default
        there is none, and a task fails for lack of the Variable.

    :raises BigflowError: for an id, a schedule or a definition that cannot be one.
    """

    made_in: str | None = None
    """The module whose import made this object, which a pod imports to have it again."""

    def __init__(  # noqa: PLR0917 - the positional ones are BigFlow's
        self,
        workflow_id: str,
        definition: Definition | Jobs,
        schedule_interval: str | timedelta | None = "@daily",
        start_time_factory: Callable[[datetime], datetime] = daily_start_time,
        depends_on_past: bool = True,
        secrets: Sequence[str] = (),
        env_variable: str = "env",
        *,
        timezone: str = "UTC",
        catchup: bool = True,
        max_active_runs: int = 1,
        on_failure_callback: str | None = None,
        tags: Sequence[str] = (),
        owner: str = "airflow",
        description: str | None = None,
        doc_md: str | None = None,
        env_default: str | None = None,
    ) -> None:
        _check(workflow_id, schedule_interval)
        self.workflow_id = workflow_id
        self.definition = (
            definition if isinstance(definition, Definition) else Definition(definition)
        )
        self.schedule_interval = schedule_interval
        self.start_time_factory = start_time_factory
        self.depends_on_past = depends_on_past
        self.secrets = secrets
        self.env_variable = env_variable
        self.timezone = timezone
        self.catchup = catchup
        self.max_active_runs = max_active_runs
        self.on_failure_callback = on_failure_callback
        self.tags = tags
        self.owner = owner
        self.description = description
        self.doc_md = doc_md
        self.env_default = env_default
        self.made_in = _module_under_way()

    def __repr__(self) -> str:
        return f"<Workflow {self.workflow_id!r}>"

    def run(self, runtime: str | date | None = None) -> None:
        """Runs every job in this process, one after another; retries and timeouts play no part.

        ``runtime`` is by default the present time.
        """
        context = JobContext.make(workflow=self, runtime=runtime)
        for job in self.definition.jobs:
            execute_job(job, context)

    def run_job(self, job_id: str, runtime: str | date | None = None) -> None:
        """Runs one job in this process.

        :raises BigflowError: when the workflow has no such job.
        """
        execute_job(self.find_job(job_id), JobContext.make(workflow=self, runtime=runtime))

    def find_job(self, job_id: str) -> AnyJob:
        """The job with that id.

        :raises BigflowError: when the workflow has no such job.
        """
        for job in self.definition.jobs:
            if job.id == job_id:
                return job
        known = ", ".join(job.id for job in self.definition.jobs) or "none"
        raise BigflowError(
            f"workflow {self.workflow_id!r} has no job {job_id!r}", hint=f"its jobs: {known}"
        )

    def build_sequential_order(self) -> list[AnyJob]:
        """The jobs in an order that can be run."""
        return self.definition.sequential_order()


def _module_under_way() -> str | None:
    """The module whose top level is being run, directly or by way of functions, and innermost."""
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - `inspect` costs each pod 10 ms
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    return frame and frame.f_globals.get("__name__")


def _check(workflow_id: object, schedule_interval: object) -> None:
    """Here and not at the build, because here the traceback names the line."""
    if not isinstance(workflow_id, str) or not workflow_id:
        raise BigflowError(
            f"a workflow's id cannot be {shown(workflow_id)}",
            hint="give it a string of letters, digits and _",
        )
    if not isinstance(schedule_interval, (str, timedelta, type(None))):
        raise BigflowError(
            f"the schedule of workflow {workflow_id!r} cannot be {shown(schedule_interval)}",
            hint="give a cron expression or preset, a timedelta or None",
        )
