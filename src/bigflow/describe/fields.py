"""The table of job and workflow attributes.

A new attribute is one line in ``JobAttributes`` or ``WorkflowAttributes``. From these lines come:
the keywords and defaults of ``Job`` and ``Workflow``, the checks of `bigflow describe`
(``values.py``), ``schema.json`` and docs/reference/attributes.md
(``make format``), the dataclasses of the build
(``bigflow_backend/project/workflows.py``), and the arguments of the KubernetesPodOperator that have
the same value. Write the annotation as a key of ``values.KINDS``.
"""

from __future__ import annotations

from functools import cache
from types import MappingProxyType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, TypeVar

    from typing_extensions import dataclass_transform

    Seconds = float
    Quantity = str | float
    DateTime = str
    Assets = Sequence[Any]
    Params = Mapping[str, Any]
    Table = TypeVar("Table", bound=type)

REQUIRED: Any = object()
"""The default of an attribute that has none."""

LARGEST_INTEGER = 2**31 - 1
"""Airflow's database stores 32 bits: https://www.postgresql.org/docs/current/datatype-numeric.html"""

LONGEST_SECONDS = 10**9
"""31 years. Dates and integers of Airflow and Kubernetes can hold it."""

_EMPTY: Mapping[str, Any] = MappingProxyType({})


class Attribute:
    """One line of the table. A class that has it as an attribute shows its default.

    :param text: the meaning, for docs and schema; Markdown.
    :param default: the value of an object that sets none.
    :param least: the smallest number, or the shortest length of a text.
    :param most: the largest number.
    :param argument: the argument of the KubernetesPodOperator, or of the DAG, that takes the value
        unchanged where it is not empty.
    :param zero_is_default: 0 and None mean the default.
    """

    name: str
    annotation: str
    kind: str
    """The annotation without ``| None``: a key of ``values.KINDS``."""
    optional: bool

    def __init__(
        self,
        text: str,
        *,
        default: object = REQUIRED,
        least: int | None = None,
        most: int | None = None,
        argument: str | None = None,
        zero_is_default: bool = False,
    ) -> None:
        self.default = default
        self.text = text
        self.least = least
        self.most = most
        self.argument = argument
        self.zero_is_default = zero_is_default

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.annotation = owner.__annotations__[name]
        self.kind = self.annotation.removesuffix(" | None")
        self.optional = self.kind != self.annotation

    def __get__(self, instance: object, owner: type) -> Any:
        return self.default


def attribute(text: str = "", *, kw_only: bool = True, **details: Any) -> Any:
    """Return an ``Attribute``, as a value that type checkers accept for every annotation.

    ``kw_only`` is for type checkers.
    """
    del kw_only
    return Attribute(text, **details)


@cache
def attributes_of(table: type) -> tuple[Attribute, ...]:
    """Return the lines of a table and of those that it inherits, in their order."""
    lines = {
        name: line
        for part in table.__mro__
        for name, line in vars(part).items()
        if isinstance(line, Attribute)
    }
    return tuple(lines.values())


_OF_AIRFLOW = {
    "dag_id": "workflow_id",
    "env_vars": "environment",
    "execution_timeout": "execution_timeout_sec",
    "jobs": "definition",
    "retries": "retry_count",
    "retry_delay": "retry_pause_sec",
    "schedule": "schedule_interval",
    "task_id": "id",
}
"""A keyword of Airflow's DAGs and operators -> ours."""


def check_names(
    target: object, table: type, given: Mapping[str, object], arguments: Sequence[str] = ()
) -> None:
    """Check the keywords of an ``__init__``.

    :param arguments: the arguments that are not in ``table``, for the suggestion.

    :raises TypeError: for a keyword that is not an attribute in ``table``.
    """
    known = [line.name for line in attributes_of(table)]
    for name in given:
        if name not in known:
            from difflib import get_close_matches

            other, names = _OF_AIRFLOW.get(name), [*known, *arguments]
            found = [other] if other in names else get_close_matches(name, names, n=1)
            near = "".join(f"; did you mean {n!r}?" for n in found)
            call = f"{type(target).__name__}()"
            raise TypeError(f"{call} got an unexpected keyword argument {name!r}{near}")


if TYPE_CHECKING:

    @dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(attribute,))
    def table(cls: Table) -> Table:
        """Make type checkers and editors read the lines as the keywords of ``__init__``."""
else:

    def table(cls: Table) -> Table:
        return cls


@table
class JobAttributes:
    """The attributes of a job."""

    retry_count: int = attribute(
        "how often Airflow retries the task after a failure",
        default=3,
        least=0,
        most=LARGEST_INTEGER,
        argument="retries",
    )
    retry_pause_sec: Seconds = attribute(
        "seconds between two tries", default=60, most=LONGEST_SECONDS
    )
    execution_timeout_sec: Seconds = attribute(
        "seconds after which Airflow ends a try; `0` and `None` mean the default",
        default=10800,
        most=LONGEST_SECONDS,
        zero_is_default=True,
    )
    cpu_request: Quantity | None = attribute(
        'the CPU that Kubernetes reserves: `"500m"` or `2`', default=None
    )
    cpu_limit: Quantity | None = attribute("the CPU that the pod can use", default=None)
    memory_request: Quantity | None = attribute(
        'the memory that Kubernetes reserves: `"512Mi"` or `"2Gi"`', default=None
    )
    memory_limit: Quantity | None = attribute(
        "the memory above which Kubernetes kills the pod", default=None
    )
    gpu: int | None = attribute("the number of NVIDIA GPUs", default=None, least=1, most=1024)
    pool: str | None = attribute("the Airflow pool", default=None, argument="pool")
    priority_weight: int | None = attribute(
        "the order among waiting tasks: Airflow starts the largest first",
        default=None,
        least=-LARGEST_INTEGER,
        most=LARGEST_INTEGER,
        argument="priority_weight",
    )
    environment: Mapping[str, str] = attribute("environment variables of the pod", default=_EMPTY)
    secrets: Sequence[str] = attribute(
        "Kubernetes secrets for this job, in addition to the workflow's", default=()
    )
    labels: Mapping[str, str] = attribute("labels of the pod", default=_EMPTY)
    annotations: Mapping[str, str] = attribute("annotations of the pod", default=_EMPTY)
    service_account: str | None = attribute(
        "the Kubernetes service account of the pod", default=None, argument="service_account_name"
    )
    node_selector: Mapping[str, str] = attribute(
        "labels of the nodes that the pod can run on", default=_EMPTY, argument="node_selector"
    )
    tolerations: Sequence[Mapping[str, Any]] = attribute(
        'tolerations of the Kubernetes API: `{"key": ..., "operator": ..., "effect": ...}`',
        default=(),
        argument="tolerations",
    )
    outlets: Assets = attribute(
        "the assets that the job updates: `Asset` objects, or URIs; other workflows can start"
        " after it",
        default=(),
    )
    operator_arguments: Mapping[str, Any] = attribute(
        "other arguments of the KubernetesPodOperator: plain data", default=_EMPTY
    )


@table
class DescribedJob(JobAttributes):
    """A job in a description: its attributes and its place in the workflow."""

    id: str = attribute("Unique in the workflow.", least=1)
    depends_on: Sequence[str] = attribute(
        "The ids of the jobs that it waits for, in the order of definition."
    )


@table
class WorkflowAttributes:
    """The attributes of a workflow, other than its id, definition and schedule."""

    depends_on_past: bool = attribute(
        "a job waits until its own previous run has succeeded", default=True
    )
    secrets: Sequence[str] = attribute(
        "Kubernetes secrets that every pod gets as environment variables", default=()
    )
    env_variable: str = attribute(
        "the Airflow Variable that names the configuration", default="env"
    )
    env_default: str | None = attribute(
        "the configuration to use when Airflow does not have the Variable; by default the task"
        " fails",
        default=None,
    )
    timezone: str = attribute("the IANA name of the time zone of the schedule", default="UTC")
    catchup: bool = attribute(
        "Airflow also starts the runs between the first runtime and now",
        default=True,
        argument="catchup",
    )
    max_active_runs: int | None = attribute(
        "the number of runs at the same time; by default 100 with `depends_on_past`, else 1",
        default=None,
        least=1,
        most=LARGEST_INTEGER,
        argument="max_active_runs",
    )
    on_failure_callback: str | None = attribute(
        "the import path, in Airflow, of a function to call when a task fails", default=None
    )
    params: Params = attribute(
        "what a person can set for a run by hand: plain data, or `Param(7, minimum=1)`",
        default=_EMPTY,
    )
    tags: Sequence[str] = attribute("tags of the DAG", default=())
    owner: str = attribute("the owner of the tasks", default="airflow")
    description: str | None = attribute(
        "one line that Airflow shows beside the DAG", default=None, argument="description"
    )
    doc_md: str | None = attribute("the DAG's documentation in Markdown", default=None)


@table
class DescribedWorkflow(WorkflowAttributes):
    """A workflow in a description. Its ``schedule`` and ``jobs`` are objects of their own."""

    id: str = attribute("Unique in the project.", least=1)
    module: str = attribute("The module that creates the workflow: a pod imports it.", least=1)
    variable: str = attribute(
        "The variable that holds the workflow, or the list, tuple or dict around it.",
        least=1,
    )
    start_date: DateTime | None = attribute(
        "The first runtime in the workflow's time zone, ISO 8601 with the offset from UTC; null"
        " without a start time.",
    )
    start_from: str = attribute(
        "`start_date` if the first runtime is fixed, `factory` if a function of the project makes"
        " it from the start time of the build, else `default`.",
        least=1,
    )
