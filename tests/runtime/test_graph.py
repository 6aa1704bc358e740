"""Definition: which jobs there are, their order, and what is refused."""

from __future__ import annotations

from itertools import chain
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigflow import Definition, Job, JobContext, Workflow
from bigflow.graph import InvalidJobGraph


class Step(Job):
    def execute(self, context: JobContext) -> None:
        raise NotImplementedError


def ids(definition: Definition) -> list[str]:
    return [job.id for job in definition.jobs]


def test_a_list_is_a_chain() -> None:
    definition = Definition([Step("c"), Step("a"), Step("b")])
    assert ids(definition) == ["c", "a", "b"]
    assert definition.dependencies == {"c": (), "a": ("c",), "b": ("a",)}


def test_a_diamond() -> None:
    first, left, right, last = Step("first"), Step("left"), Step("right"), Step("last")
    definition = Definition({first: [left, right], left: [last], right: [last]})
    assert ids(definition) == ["first", "left", "right", "last"]
    assert definition.dependencies["last"] == ("left", "right")


def test_where_several_jobs_could_be_next_the_definition_decides() -> None:
    z, y, x, a = Step("z"), Step("y"), Step("x"), Step("a")
    assert ids(Definition({z: [], y: [a], x: []})) == ["z", "y", "a", "x"]


def test_one_job_and_no_job() -> None:
    assert ids(Definition([Step("only")])) == ["only"]
    assert ids(Definition([])) == []


def test_an_edge_that_is_given_twice_counts_once() -> None:
    a, b = Step("a"), Step("b")
    assert Definition({a: [b, b]}).dependencies["b"] == ("a",)


def test_jobs_need_not_be_hashable_to_follow() -> None:
    follower = SimpleNamespace(id="b", execute=print)  # SimpleNamespace has no hash
    assert ids(Definition({Step("a"): [follower]})) == ["a", "b"]


def test_a_workflow_takes_a_definition_a_dict_or_a_list() -> None:
    a, b = Step("a"), Step("b")
    for definition in (Definition({a: [b]}), {a: [b]}, [a, b]):
        assert Workflow("w", definition).definition.dependencies == {"a": (), "b": ("a",)}


@pytest.mark.parametrize(
    ("jobs", "message", "hint"),
    [
        (
            [Step("a"), SimpleNamespace(id="a", execute=print)],
            f"two jobs have the id 'a': a {Step.__module__}.Step and a types.SimpleNamespace",
            "each job its own id",
        ),
        ([object()], "<object object> is not a job", "`id` and a method `execute(context)`"),
        ({Step("a"): object()}, "the next jobs of 'a' cannot be <object object>", "a list of jobs"),
        ([Step("a"), "b"], "'b' is not a job", "`id` and a method `execute(context)`"),
        ([Step], "Step is a class, not a job", "write Step(...)"),
        ([Step()], "cannot be None", "string of letters"),
        ([Step("")], "cannot be ''", "string of letters"),
        ([SimpleNamespace(id=12, execute=print)], "cannot be 12", "string of letters"),
        ([SimpleNamespace(id="a")], "is not a job", "execute(context)"),
        ({Step("a"): Step("b")}, "the next jobs of 'a' cannot be", "a list of jobs"),
        ("a", "a definition cannot be 'a'", "{job: [next jobs]}"),
    ],
)
def test_an_invalid_graph(jobs: Any, message: str, hint: str) -> None:
    with pytest.raises(InvalidJobGraph) as caught:
        Definition(jobs)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_cycle_is_reported() -> None:
    a, b, c = Step("a"), Step("b"), Step("c")
    with pytest.raises(InvalidJobGraph) as caught:
        Definition({a: [b], b: [c], c: [a]})
    assert "a -> b -> c -> a" in caught.value.message or "b -> c -> a -> b" in caught.value.message


def test_a_job_cannot_wait_for_itself() -> None:
    a = Step("a")
    with pytest.raises(InvalidJobGraph, match="form a cycle: a -> a"):
        Definition([a, a])


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=40))
def test_every_job_comes_after_the_jobs_that_it_waits_for(pairs: list[tuple[int, int]]) -> None:
    steps = [Step(f"job_{i}") for i in range(13)]
    graph: dict[Any, list[Any]] = {}
    for one, other in pairs:
        if one != other:
            graph.setdefault(steps[min(one, other)], []).append(steps[max(one, other)])
    definition = Definition(graph)
    order = ids(definition)
    assert sorted(order) == sorted({job.id for job in chain(graph, *graph.values())})
    for job_id, waits_for in definition.dependencies.items():
        assert all(order.index(other) < order.index(job_id) for other in waits_for)
    assert ids(Definition(graph)) == order
