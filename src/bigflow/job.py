"""Jobs, and the context that a job gets when it runs."""

from __future__ import annotations

import abc
from collections import namedtuple
from datetime import date, datetime, timezone

from bigflow.configuration import current_env
from bigflow.describe.fields import JobAttributes, attribute, check_names, table
from bigflow.errors import BigflowError
from bigflow.param import defaults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Protocol

    class PlainJob(Protocol):
        """A job of any class."""

        @property
        def id(self) -> str: ...
        def execute(self, context: JobContext, /) -> object: ...

    class OldJob(Protocol):
        """A job of BigFlow before ``JobContext``."""

        @property
        def id(self) -> str: ...
        def run(self, runtime: str, /) -> object: ...

    AnyJob = PlainJob | OldJob

_DATE = len("2026-01-01")


# Not typing.NamedTuple: importing `typing` takes 5 ms in each pod.
_Fields = namedtuple(
    "_Fields",
    [
        "runtime",
        "runtime_str",
        "workflow",
        "workflow_id",
        "env",
        "run_id",
        "try_number",
        "interval_end",
        "params",
    ],
    defaults=[None, None, None, None, None, None, None, None, None],
)


class JobContext(_Fields):
    """The period, workflow and environment that a job runs for."""

    __slots__ = ()

    runtime: datetime
    """The start of the period to process: naive, in UTC."""
    runtime_str: str
    """``runtime`` as text: as given, else as ``2026-01-01 00:00:00``."""
    workflow: Any
    """The ``Workflow``, or None when the job runs outside of one."""
    workflow_id: str | None
    """The id of the workflow, or None when the job runs outside of one."""
    env: str | None
    """The name of the configuration, such as ``dev`` or ``prod``."""
    run_id: str | None
    """The id of Airflow's run; None outside of Airflow."""
    try_number: int | None
    """1 for the first try of the task; None outside of Airflow."""
    interval_end: datetime | None
    """The end of the period to process: naive, in UTC; None outside of Airflow."""
    params: dict[str, Any] | None
    """The values of the workflow's ``params`` for this run, with those of a run by hand; None if
    it has no params."""

    @classmethod
    def make(
        cls,
        *,
        runtime: str | date | None = None,
        runtime_str: str | None = None,
        workflow: Any = None,
        workflow_id: str | None = None,
        env: str | None = None,
        run_id: str | None = None,
        try_number: int | None = None,
        interval_end: datetime | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> JobContext:
        """Return a context; defaults replace the missing values.

        The default of ``runtime`` is the current time; of ``env``, the variable ``bf_env``. Values
        in ``params`` replace those of the workflow.

        :raises BigflowError: for a runtime of another form, or two different workflow ids.
        """
        if isinstance(runtime, str):
            moment = parse_runtime(runtime)
            if moment.isoformat(" ").startswith(runtime):  # as Airflow gives it, not other ISO 8601
                runtime_str = runtime_str or runtime
        elif isinstance(runtime, datetime):
            moment = runtime
        elif runtime is not None:
            moment = datetime(runtime.year, runtime.month, runtime.day)  # noqa: DTZ001
        else:
            moment = datetime.now(timezone.utc).replace(microsecond=0, tzinfo=None)
        if workflow is not None:
            if workflow_id not in {None, workflow.workflow_id}:
                raise BigflowError(
                    f"workflow_id is {workflow_id!r} but the workflow has {workflow.workflow_id!r}",
                    hint="give either workflow or workflow_id",
                )
            workflow_id = workflow.workflow_id
        return cls(
            runtime=moment,
            runtime_str=runtime_str or moment.strftime("%Y-%m-%d %H:%M:%S"),
            workflow=workflow,
            workflow_id=workflow_id,
            env=env or current_env(),
            run_id=run_id,
            try_number=try_number,
            interval_end=interval_end,
            params={**defaults(getattr(workflow, "params", None)), **(params or {})} or None,
        )


def parse_runtime(text: str) -> datetime:
    """Return a date, or a date and time, of ISO 8601 as a naive time in UTC, in whole seconds.

    Examples are ``2026-01-01``, ``2026-01-01 00:00``, ``2026-01-01T00:00:00Z`` and
    ``2026-01-01T02:00:00.5+02:00``. Without an offset the time is in UTC. A fraction of a second is
    dropped, because the pods of a DAG get whole seconds.

    :raises BigflowError: for any other text.
    """
    # strptime() would import _strptime, calendar and locale in each pod.
    try:
        moment = datetime.fromisoformat(f"{text[:-1]}+00:00" if text[-1:] == "Z" else text)
        if moment.tzinfo is not None:
            moment = moment.astimezone(timezone.utc).replace(tzinfo=None)
    except (ValueError, OverflowError):
        moment = None
    # From Python 3.11 on, fromisoformat() also accepts weeks, and dates without separators.
    has_time = text[_DATE : _DATE + 1] in {"T", " "} and text[_DATE + 3 : _DATE + 4] == ":"
    is_extended = text.isascii() and text[4:5] == text[7:8] == "-"
    if moment is None or not is_extended or not (has_time or len(text) == _DATE):
        raise BigflowError(
            f"runtime {text!r} is not a valid date and time",
            hint="write it in UTC, such as '2026-01-01 00:00:00', or as ISO 8601",
        )
    return moment.replace(microsecond=0)


@table
class Job(JobAttributes, abc.ABC):
    """Base class of jobs. You can also write a job without it: see ``execute_job``.

    Give the attributes of jobs to ``__init__``, set them in a subclass, or set them on the object.
    The page "Attributes of workflows and jobs" has them. A subclass does not need to call
    ``super().__init__()``. A job that does not inherit and lacks an attribute has the default.
    """

    id: str = attribute(
        "letters, digits, `_` and `-`; unique in the workflow", default=None, kw_only=False
    )

    if not TYPE_CHECKING:  # type checkers make the parameters from the table

        def __init__(self, id: str | None = None, **attributes: Any) -> None:  # noqa: A002
            check_names(self, JobAttributes, attributes, ("id",))
            for name, value in {"id": id, **attributes}.items():
                if value is not None:  # else the value of the class stays
                    setattr(self, name, value)

    @abc.abstractmethod
    def execute(self, context: JobContext) -> object:
        """Do the work of one period. The result is not used; an exception fails the task.

        :param context: the period, the workflow and the configuration of this run.
        """

    def run(self, runtime: str | date | None = None) -> object:
        """Do the work outside of a workflow.

        :param runtime: the start of the period, in UTC; by default the current time.

        :raises BigflowError: for text that is not a date or a time.
        """
        return self.execute(JobContext.make(runtime=runtime))


def execute_job(job: AnyJob, context: JobContext) -> None:
    """Run any object that has ``execute(context)``, or BigFlow's older ``run(runtime)``.

    :param job: the object; it does not need to inherit from ``Job``.
    :param context: the period that the job runs for: see ``JobContext.make``.
    """
    execute = getattr(job, "execute", None)
    if execute is not None:
        execute(context)
    else:
        job.run(context.runtime_str)  # type: ignore[union-attr]
