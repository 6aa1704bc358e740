"""The runtime: the package that a project imports and that each pod runs.

It needs the standard library only. Each pod pays for its imports, so public names load on first use
(PEP 562).

- ``cli``, ``run``: the command `bigflow`; run a job or a workflow
- ``job``, ``workflow``, ``graph``: jobs, workflows, and the order of jobs
- ``param``, ``asset``: what a workflow asks for, and what starts it
- ``configuration``, ``resources``, ``start_time``: for the project's own code
- ``errors``: the error that a user can fix
- ``describe``: objects -> JSON, for the build
- ``build``, ``commons``, ``konfig``, ``version``: names of BigFlow 1.x
- ``absent``: a message for each other name of BigFlow 1.x
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # importing `typing` takes longer than the rest of this package
if TYPE_CHECKING:
    from typing import Any

    from bigflow.asset import Asset
    from bigflow.configuration import Config, DeploymentConfig
    from bigflow.errors import BigflowError
    from bigflow.graph import Definition
    from bigflow.job import Job, JobContext
    from bigflow.param import Param
    from bigflow.resources import get_resource_absolute_path
    from bigflow.start_time import daily_start_time, hourly_start_time
    from bigflow.workflow import Workflow

__all__ = [
    "Asset",
    "BigflowError",
    "Config",
    "Definition",
    "DeploymentConfig",
    "Job",
    "JobContext",
    "Param",
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
    "Asset": "asset",
    "BigflowError": "errors",
    "Config": "configuration",
    "Definition": "graph",
    "DeploymentConfig": "configuration",
    "Job": "job",
    "JobContext": "job",
    "Param": "param",
    "Workflow": "workflow",
    "daily_start_time": "start_time",
    "get_resource_absolute_path": "resources",
    "hourly_start_time": "start_time",
}
_SUBMODULES = (
    *("commons", "configuration", "errors", "konfig", "resources", "version", "workflow"),
    "build",
)


class _AbsentModules:
    """The last finder of modules: reports the import of a module that only BigFlow 1.x has."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        if name.startswith("bigflow."):
            from bigflow.absent import refuse_module

            refuse_module(name)


sys.meta_path.append(_AbsentModules)


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _SUBMODULES:  # `import bigflow; bigflow.resources.find_file(...)`
        return import_module(f"bigflow.{name}")
    if name not in _HOME:
        from bigflow.absent import refuse_attribute

        refuse_attribute(__name__, name)
    value = getattr(import_module(f"bigflow.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})
