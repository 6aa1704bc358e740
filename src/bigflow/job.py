"""A job and what it is told when it runs."""

from __future__ import annotations

import abc
from collections import namedtuple
from datetime import date, datetime, timezone
from types import MappingProxyType

from bigflow.configuration import current_env
from bigflow.errors import BigflowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Protocol

    from bigflow.workflow import Workflow

    class PlainJob(Protocol):
        """A job of any class."""

        @property
        def id(self) -> str: ...
        def execute(self, context: JobContext, /) -> object: ...

    class OldJob(Protocol):
        """A job as BigFlow had them before ``JobContext``."""

        @property
        def id(self) -> str: ...
        def run(self, runtime: str, /) -> object: ...

    AnyJob = PlainJob | OldJob

__all__ = ["Job", "JobContext", "execute_job", "parse_runtime"]

_RUNTIME_LENGTHS = {len("2026-01-01"), len("2026-01-01 00:00"), len("2026-01-01 00:00:00")}
_NOTHING: Mapping[str, Any] = MappingProxyType({})


# typing.NamedTuple would say the same, but `typing` costs each pod 5 ms.
_Fields = namedtuple(  # noqa: PYI024
    "_Fields",
    ["runtime", "runtime_str", "workflow", "workflow_id", "env"],
    defaults=[None, None, None, None, None],
)


class JobContext(_Fields):
    """What a job is told: for which period it runs, in which workflow and environment."""

    __slots__ = ()

    runtime: datetime
    """The start of the period to process: naive, and in Airflow's clock, which is UTC."""
    runtime_str: str
    """``runtime`` as it was given, else as ``2026-01-01 00:00:00``."""
    workflow: Workflow | None
    workflow_id: str | None
    env: str | None
    """The name of the configuration, such as ``dev`` or ``prod``."""

    @classmethod
    def make(
        cls,
        *,
        runtime: str | date | None = None,
        runtime_str: str | None = None,
        workflow: Workflow | None = None,
        workflow_id: str | None = None,
        env: str | None = None,
    ) -> JobContext:
        """A context with what is not given filled in.

        ``runtime`` is by default the present time, ``env`` the environment variable ``bf_env``.

        :raises BigflowError: for a runtime of another form, or two workflow ids.
        """
        if isinstance(runtime, str):
            runtime_str = runtime_str or runtime
            moment = parse_runtime(runtime)
        elif isinstance(runtime, datetime):
            moment = runtime
        elif runtime is not None:
            moment = datetime(runtime.year, runtime.month, runtime.day)  # noqa: DTZ001
        else:
            moment = datetime.now(timezone.utc).replace(microsecond=0, tzinfo=None)
        if workflow is not None:
            if workflow_id not in {None, workflow.workflow_id}:
                raise BigflowError(
                    f"workflow_id is {workflow_id!r}, the workflow's is {workflow.workflow_id!r}",
                    hint="give one of the two",
                )
            workflow_id = workflow.workflow_id
        return cls(
            runtime=moment,
            runtime_str=runtime_str or moment.strftime("%Y-%m-%d %H:%M:%S"),
            workflow=workflow,
            workflow_id=workflow_id,
            env=env or current_env(),
        )


def parse_runtime(text: str) -> datetime:
    """Reads ``2026-01-01``, ``2026-01-01 00:00`` or ``2026-01-01 00:00:00``.

    :raises BigflowError: for any other text.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    # From Python 3.11 on, fromisoformat() reads every form of ISO 8601; only ours come back as
    # they went in. (strptime() would import _strptime, calendar and locale.)
    if (
        moment is None
        or len(text) not in _RUNTIME_LENGTHS
        or moment.isoformat(" ", "seconds")[: len(text)] != text
    ):
        raise BigflowError(
            f"the runtime {text!r} is no date and time",
            hint="write it as '2026-01-01 00:00:00' or '2026-01-01'",
        )
    return moment


class Job(abc.ABC):
    """The base class of jobs. It is recommended, not required: see ``execute_job``.

    The attributes may be given to ``__init__``, or set in a subclass or on the object, and need
    no call of ``super().__init__()``. A job that does not inherit and lacks one has the default
    that stands here.
    """

    id: str
    """Unique in the workflow: the id of the Airflow task. Letters, digits and ``_``."""
    retry_count: int = 3
    """How often Airflow tries again after a failure."""
    retry_pause_sec: float = 60
    """Seconds between two tries."""
    execution_timeout_sec: float = 10800
    """Seconds after which Airflow ends a try; 0 means the default."""

    cpu_request: str | float | None = None
    """A Kubernetes quantity, such as ``"500m"``; so are the next three."""
    cpu_limit: str | float | None = None
    memory_request: str | float | None = None
    memory_limit: str | float | None = None
    gpu: int | None = None
    """How many GPUs of NVIDIA the pod gets."""
    pool: str | None = None
    """The Airflow pool of the task."""
    priority_weight: int | None = None
    """Airflow's order among waiting tasks; more is sooner."""
    environment: Mapping[str, str] = _NOTHING
    """Environment variables of the pod."""
    secrets: Sequence[str] = ()
    """Kubernetes secrets that the pod gets as environment variables, besides the workflow's."""
    labels: Mapping[str, str] = _NOTHING
    annotations: Mapping[str, str] = _NOTHING
    service_account: str | None = None
    """The Kubernetes service account of the pod."""
    node_selector: Mapping[str, str] = _NOTHING
    tolerations: Sequence[Mapping[str, Any]] = ()
    """As in the Kubernetes API: ``{"key": ..., "operator": ..., "value": ..., "effect": ...}``."""
    operator_arguments: Mapping[str, Any] = _NOTHING
    """Further arguments of the KubernetesPodOperator: plain data, checked at build."""

    def __init__(
        self,
        id: str | None = None,  # noqa: A002 - BigFlow's name
        *,
        retry_count: int | None = None,
        retry_pause_sec: float | None = None,
        execution_timeout_sec: float | None = None,
        cpu_request: str | float | None = None,
        cpu_limit: str | float | None = None,
        memory_request: str | float | None = None,
        memory_limit: str | float | None = None,
        gpu: int | None = None,
        pool: str | None = None,
        priority_weight: int | None = None,
        environment: Mapping[str, str] | None = None,
        secrets: Sequence[str] | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        service_account: str | None = None,
        node_selector: Mapping[str, str] | None = None,
        tolerations: Sequence[Mapping[str, Any]] | None = None,
        operator_arguments: Mapping[str, Any] | None = None,
    ) -> None:
        given = {name: value for name, value in locals().items() if name != "self"}
        for name, value in given.items():
            if value is not None:  # else the class' own value stands
                setattr(self, name, value)

    @abc.abstractmethod
    def execute(self, context: JobContext) -> object:
        """Does the work."""

    def run(self, runtime: str | date | None = None) -> object:
        """Does the work, outside of a workflow."""
        return self.execute(JobContext.make(runtime=runtime))


def execute_job(job: AnyJob, context: JobContext) -> None:
    """Runs ``job``: any object with ``execute(context)``, or with the older ``run(runtime)``."""
    execute = getattr(job, "execute", None)
    if execute is not None:
        execute(context)
    else:
        job.run(context.runtime_str)  # type: ignore[union-attr]
