"""The runtime: the package that a project imports and that each pod runs.

It needs the standard library only. Each pod pays for its imports, so public names load on first use
(PEP 562).

- ``cli``, ``run``: the command `bigflow`; run a job or a workflow
- ``job``, ``workflow``, ``graph``: jobs, workflows, and the order of jobs
- ``configuration``, ``resources``, ``start_time``: for the project's own code
- ``errors``: the error that a user can fix
- ``describe``: objects -> JSON, for the build
- ``build``: import names of BigFlow 1.x
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing `typing` takes longer than the rest of this package
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

# Not from `importlib.metadata`: its import takes 24 ms. The distribution's version is read from
# this line (pyproject.toml).
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
