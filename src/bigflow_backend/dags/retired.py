"""A DAG file -> the file of the retired DAG: no new runs, and all its runs end."""

from __future__ import annotations

import ast
from datetime import timezone
from typing import TYPE_CHECKING

from bigflow_backend.dags.file.literals import literal
from bigflow_backend.dags.rules.zones import moment_call
from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    from bigflow_backend.dags.manifest import DagEntry

RETIRED = "retired"
"""The tag of a retired DAG."""

_END = """

# {summary}
import copy

import airflow
import pendulum


def retire(dag, end_date):
    dag.tags = type(dag.tags)([*(dag.tags or ()), {tag}])
    if airflow.__version__.startswith("2."):
        # A worker of Airflow 2 does not start a task of a run whose date is after the end date of
        # the task's DAG. A run by hand has such a date, and has to end, too.
        endless = copy.copy(dag)
        for task in dag.tasks:
            task._dag = endless
    dag.end_date = end_date


retire({dag}, {end_date})
"""


def retired_text(dag: DagEntry) -> str:
    """Return the text of a DAG's file after its retirement.

    :raises UserError: if the file does not have one DAG in a variable of its module.
    """
    if dag.retired is None:
        raise ValueError(f"{dag.dag_id} is not retired")
    source = dag.source
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        raise _error(dag, "it is not Python") from error
    name = dag_variable(tree)
    if name is None:
        raise _error(dag, "it has no `with DAG(...) as dag`, and no `dag = DAG(...)`")
    if dag.schedule.kind == "assets":  # Airflow starts these runs also after the end date
        source = with_argument(source, "schedule", "None")
    end = dag.retired.end_date
    summary, end_date = f"Retired by version {dag.retired.by}", literal(None)
    if end is not None:
        end = end.astimezone(timezone.utc)
        summary += f": no data interval starts after {end:%Y-%m-%d %H:%M:%S} UTC"
        end_date = literal(moment_call(end, "UTC"))
    return (
        source.rstrip("\n")
        + "\n"
        + _END.format(summary=f"{summary}.", tag=literal(RETIRED), dag=name, end_date=end_date)
    )


def dag_variable(tree: ast.Module) -> str | None:
    """Return the variable of the DAG in a file that the build has verified."""
    for node in ast.walk(tree):
        if isinstance(node, ast.With):
            for item in node.items:
                if is_dag(item.context_expr) and isinstance(item.optional_vars, ast.Name):
                    return item.optional_vars.id
        elif isinstance(node, ast.Assign) and is_dag(node.value):
            (target, *_) = node.targets
            if isinstance(target, ast.Name):
                return target.id
    return None


def with_argument(source: str, name: str, value: str) -> str:
    """Return the file with the expression ``value`` for a named argument of its DAG.

    A DAG without the argument stays as it is.
    """
    for node in ast.walk(ast.parse(source)):
        for keyword in node.keywords if isinstance(node, ast.Call) and is_dag(node) else ():
            if keyword.arg == name:
                old = keyword.value
                lines = source.encode().splitlines(keepends=True)
                before = b"".join(lines[: old.lineno - 1])
                before += lines[old.lineno - 1][: old.col_offset]
                after = lines[(old.end_lineno or 0) - 1][old.end_col_offset :]
                after += b"".join(lines[old.end_lineno :])
                return (before + value.encode() + after).decode()
    return source


def is_dag(node: ast.expr) -> bool:
    """Return whether the expression makes a DAG."""
    return isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "DAG"


def _error(dag: DagEntry, reason: str) -> UserError:
    return UserError(
        f"{dag.file} of the deployed version {dag.version} cannot be retired: {reason}",
        hint="keep that file where it is until its runs have ended, and build without --deployed",
    )
