"""Jobs and their order."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

from bigflow.errors import BigflowError, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from bigflow.job import AnyJob

    Jobs = Mapping[Any, Sequence[AnyJob]] | Sequence[AnyJob]


class InvalidJobGraph(BigflowError):  # noqa: N818 - BigFlow's name
    """The jobs do not form a valid graph."""


class Definition:
    """The jobs of a workflow and their order.

    For example:

        Definition({extract: [clean, count], clean: [report], count: [report]})
        Definition([extract, clean, report])

    :param jobs: a dict from each job to the list of its next jobs, or a list of jobs that run one
        after another.

    :raises InvalidJobGraph: for an object that is not a job, two jobs with the same id, or a cycle.
    """

    jobs: tuple[AnyJob, ...]
    """In a valid order of execution; else in the order of the definition."""
    dependencies: Mapping[str, tuple[str, ...]]
    """The id of each job -> the ids of the jobs that it waits for, in order of definition."""

    def __init__(self, jobs: Jobs) -> None:
        by_id: dict[str, AnyJob] = {}
        upstream: dict[str, list[str]] = {}
        for job, followers in _edges(jobs):
            job_id = _add(job, by_id, upstream)
            for follower in followers:
                waiting = upstream[_add(follower, by_id, upstream)]
                if job_id not in waiting:
                    waiting.append(job_id)
        position = {job_id: i for i, job_id in enumerate(by_id)}
        self.jobs = tuple(by_id[job_id] for job_id in _runnable_order(upstream, position))
        self.dependencies = {
            job_id: tuple(sorted(waits_for, key=position.__getitem__))
            for job_id, waits_for in upstream.items()
        }

    def sequential_order(self) -> list[AnyJob]:
        """Return the jobs in a valid order of execution."""
        return list(self.jobs)


def _edges(jobs: Jobs) -> Iterator[tuple[AnyJob, Sequence[AnyJob]]]:
    """Return each job with the next jobs."""
    if isinstance(jobs, dict):
        for job, followers in jobs.items():
            if not isinstance(followers, (list, tuple)):
                raise InvalidJobGraph(
                    f"the next jobs of {_name(job)} cannot be {shown(followers)}",
                    hint="write a list of jobs",
                )
            yield job, followers
    elif isinstance(jobs, (list, tuple)):
        for i, job in enumerate(jobs):
            yield job, jobs[i + 1 : i + 2]
    else:
        raise InvalidJobGraph(
            f"a definition cannot be {shown(jobs)}",
            hint="give a list of jobs or {job: [next jobs]}",
        )


def _add(job: AnyJob, by_id: dict[str, AnyJob], upstream: dict[str, list[str]]) -> str:
    _check_job(job)
    known = by_id.setdefault(job.id, job)
    if known is not job:
        raise InvalidJobGraph(
            f"two jobs have the id {job.id!r}: {_kind(known)} and {_kind(job)}",
            hint="give each job its own id",
        )
    upstream.setdefault(job.id, [])
    return job.id


def _check_job(job: object) -> None:
    if isinstance(job, type):
        raise InvalidJobGraph(
            f"{job.__name__} is a class, not a job", hint=f"write {job.__name__}(...)"
        )
    if not (callable(getattr(job, "execute", None)) or callable(getattr(job, "run", None))):
        raise InvalidJobGraph(
            f"{shown(job)} is not a job", hint="a job has an `id` and a method `execute(context)`"
        )
    job_id = getattr(job, "id", None)
    if not isinstance(job_id, str) or not job_id:
        raise InvalidJobGraph(
            f"the id of {_kind(job)} cannot be {shown(job_id)}",
            hint="give a string of letters, digits, _ and -",
        )


def _runnable_order(
    upstream: Mapping[str, Iterable[str]], position: Mapping[str, int]
) -> Iterator[str]:
    sorter = TopologicalSorter(upstream)
    try:
        sorter.prepare()
    except CycleError as error:
        # Each job comes after one that it waits for.
        cycle = " -> ".join(error.args[1])
        raise InvalidJobGraph(
            f"the jobs form a cycle: {cycle}", hint="remove one of these arrows"
        ) from None
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()], key=position.__getitem__)
        first = ready.pop(0)
        sorter.done(first)
        yield first


def _name(job: object) -> str:
    return shown(getattr(job, "id", job))


def _kind(job: object) -> str:
    """Return the class of a job, for jobs without a usable id."""
    return f"a {type(job).__module__}.{type(job).__qualname__}"
