"""The runtime: what a project's code imports and what each pod runs.

Every task of every DAG run pays for the import of this package, so the public names are loaded
on first use (PEP 562), and nothing here needs more than the standard library.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # `typing` itself costs more to import than the rest of this package
if TYPE_CHECKING:
    from typing import Any

    from bigflow.configuration import Config, DeploymentConfig
    from bigflow.errors import BigflowError
    from bigflow.graph import Definition
    from bigflow.job import Job, JobContext
    from bigflow.resources import get_resource_absolute_path
    from bigflow.start_time import daily_start_time, hourly_start_time
    from bigflow.workflow import Workflow

__all__ = [
    "BigflowError",
    "Config",
    "Definition",
    "DeploymentConfig",
    "Job",
    "JobContext",
    "Workflow",
    "__version__",
    "daily_start_time",
    "get_resource_absolute_path",
    "hourly_start_time",
]

# Here and not asked of `importlib.metadata`, whose import costs 20 ms of each `bigflow describe`;
# the distribution's version is read from this line (pyproject.toml).
__version__ = "0.1.0"

_HOME = {
    "BigflowError": "errors",
    "Config": "configuration",
    "Definition": "graph",
    "DeploymentConfig": "configuration",
    "Job": "job",
    "JobContext": "job",
    "Workflow": "workflow",
    "daily_start_time": "start_time",
    "get_resource_absolute_path": "resources",
    "hourly_start_time": "start_time",
}
_SUBMODULES = ("configuration", "errors", "resources", "workflow")


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _SUBMODULES:  # `import bigflow; bigflow.resources.find_file(...)`
        return import_module(f"bigflow.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'bigflow' has no attribute {name!r}")
    value = getattr(import_module(f"bigflow.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})


class _AbsentModules:
    """Says of BigFlow's modules that are not here why; asked only for what no other finder has."""

    names = frozenset(
        f"bigflow.{name}"
        for name in (
            "bigquery", "commons", "dagbuilder", "dataflow", "dataproc", "deploy", "konfig", "log",
            "migrate", "monitoring", "scaffold", "testing", "version",
        )
    )  # fmt: skip

    @classmethod
    def find_spec(cls, name: str, path: object = None, target: object = None) -> None:
        del path, target
        if name in cls.names:
            message = (
                f"{name} is a module of the distribution bigflow, which bigflow-backend replaces "
                "without it; use the library that it wraps"
            )
            raise ModuleNotFoundError(message, name=name)


sys.meta_path.append(_AbsentModules)
