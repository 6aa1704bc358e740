"""A DAG file -> the same DAG as a successor: another id, another start, without its build."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from bigflow_backend.dags.file.literals import literal
from bigflow_backend.dags.retired import dag_variable, is_dag, with_argument
from bigflow_backend.dags.rules.location import Location
from bigflow_backend.dags.rules.zones import find_zone, moment_call
from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    from bigflow_backend.dags.manifest import DagEntry

_START = re.compile(r"__[0-9]{4}(?:_[0-9]{2}){5}$")
_NOT_PAUSED = """
# It takes over from a deployed DAG.
{dag}.is_paused_upon_creation = False
"""


def renewed_id(dag_id: str, start_time: datetime) -> str:
    """Return the id of a DAG for another start time: the id of its workflow stays as it is."""
    return _START.sub(f"__{start_time:%Y_%m_%d_%H_%M_%S}", dag_id)


def renewed(
    dag: DagEntry, *, dag_id: str, start: datetime, by_hand: bool, succeeds: bool
) -> DagEntry:
    """Return the DAG with another id and start date.

    ``by_hand`` removes its schedule. ``succeeds`` is true if it takes over from another DAG: it is
    not paused then.

    :raises UserError: if its file does not have a DAG with a start date.
    """
    source = dag.source.replace(dag.dag_id, dag_id)
    if start != dag.start:
        moment = start.astimezone(find_zone(dag.timezone, Location.workflow(dag.workflow)))
        source = with_argument(source, "start_date", literal(moment_call(moment, dag.timezone)))
        start_date = moment.isoformat()
    else:
        start_date = dag.start_date
    if by_hand:
        source = with_argument(source, "schedule", "None")
    if source == dag.source and not succeeds:
        return dag
    tree = ast.parse(source)
    variable = dag_variable(tree)
    if variable is None or not _has_start(tree):
        raise UserError(
            f"{dag.file} has no `with DAG(..., start_date=...) as dag`: its start cannot move",
            hint="build the DAGs for what is deployed: bigflow build-dags --deployed DAGS_FOLDER",
        )
    if succeeds and not is_successor(dag):
        source = source.rstrip("\n") + "\n" + _NOT_PAUSED.format(dag=variable)
    return replace(
        dag,
        dag_id=dag_id,
        file=dag.file if dag_id == dag.dag_id else f"{dag_id}_dag.py",
        start_date=start_date,
        source=source,
    )


def is_successor(dag: DagEntry) -> bool:
    """Return whether the DAG takes over from another one."""
    return "is_paused_upon_creation" in dag.source


def is_by_hand(dag: DagEntry) -> bool:
    """Return whether the file of the DAG has no schedule."""
    return with_argument(dag.source, "schedule", "None") == dag.source


def _has_start(tree: ast.Module) -> bool:
    return any(
        keyword.arg == "start_date"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and is_dag(node)
        for keyword in node.keywords
    )
