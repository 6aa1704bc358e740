"""The runtime: what a project's code imports and what each pod runs.

Every task of every DAG run pays for the import of this package, so the public names are loaded
on first use (PEP 562), and nothing here needs more than the standard library.
"""

from __future__ import annotations

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

    __version__: str

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
    if name in _HOME:
        value = getattr(import_module(f"bigflow.{_HOME[name]}"), name)
    elif name == "__version__":
        from importlib.metadata import version

        value = version("bigflow-backend")
    else:
        raise AttributeError(f"module 'bigflow' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})
