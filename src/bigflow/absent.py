"""The names that BigFlow 1.x has and bigflow-backend does not have: one message for each."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_CLIENT = "call Google's client library in the job"
_BUILD = "run `bigflow build`"

_MODULES = {
    "bigflow.bigquery": f"DatasetConfig is in bigflow.configuration; for tables, {_CLIENT}",
    "bigflow.build.dataflow": "bigflow.build.reflect.materialize_setuppy() returns a setup.py",
    "bigflow.build.dev": "bigflow.build.reflect.locate_project_path() returns the directory",
    "bigflow.build.dist": _BUILD,
    "bigflow.build.legacy": "import its functions from bigflow.build",
    "bigflow.build.operate": _BUILD,
    "bigflow.build.pip": "run `bigflow build-requirements`",
    "bigflow.build.spec": "bigflow.build.reflect.get_project_spec() returns the settings",
    "bigflow.dagbuilder": "run `bigflow build-dags`",
    "bigflow.dataflow": "create the Apache Beam pipeline in the job; its setup.py is"
    " bigflow.build.reflect.materialize_setuppy()",
    "bigflow.dataproc": _CLIENT,
    "bigflow.deploy": "run `bigflow build-image --push`, and copy the files of .dags/ to Airflow",
    "bigflow.log": "use `logging`: Kubernetes keeps the output of a pod",
    "bigflow.logger": "use `logging`: Kubernetes keeps the output of a pod",
    "bigflow.migrate": "follow the steps of docs/how-to/migration.md",
    "bigflow.monitoring": "set on_failure_callback of the workflow",
    "bigflow.scaffold": "run `bigflow start-project NAME`",
    "bigflow.testing": "isolate the test with `multiprocessing`",
    "bigflow.utils": "bigflow.commons has most of its functions",
}
"""A module or package of BigFlow 1.x -> what to do instead."""

_NAMES = {
    **dict.fromkeys(("JobGraphValidator", "JobOrderResolver"), "Definition checks the order"),
    "WorkflowJob": "a Definition takes the jobs themselves",
    "cli": "call bigflow.cli.main(), which returns the exit status",
    **dict.fromkeys(
        (
            *("build_module_path", "cli_run", "execute_job", "execute_workflow", "find_workflow"),
            *("find_image_file", "find_root_package", "import_deployment_config", "walk_modules"),
            *("init_console_logging", "read_project_name_from_setup", "set_configuration_env"),
            *("walk_module_files", "walk_module_objects", "walk_module_paths", "walk_workflows"),
        ),
        "run the command: `bigflow run`, or `bigflow workflows --json` for the workflows",
    ),
}
"""A name in a module that exists -> what to do instead."""


class AbsentModuleError(ModuleNotFoundError):
    """The import of a name of BigFlow 1.x that bigflow-backend does not have."""

    # `name` of the error stays None: `from bigflow import bigquery` skips an error that has the
    # name of the module, and then raises one without our message.
    def __init__(self, name: str, hint: str) -> None:
        self.message, self.hint = _message_of(name), hint
        super().__init__(f"{self.message}; {hint}")


class AbsentAttributeError(AttributeError):
    """A module of BigFlow 1.x that is used as an attribute of its package."""

    def __init__(self, name: str, hint: str) -> None:
        self.message, self.hint = _message_of(name), hint
        super().__init__(f"{self.message}; {hint}")


ABSENT = (AbsentModuleError, AbsentAttributeError)


def _message_of(name: str) -> str:
    """Return the problem: one line."""
    return f"{name} of BigFlow 1.x is not part of bigflow-backend"


def _hint_for(module: str) -> str | None:
    """Return what to do without a module of BigFlow 1.x; None for a module that it lacks, too."""
    while module:
        if module in _MODULES:
            return _MODULES[module]
        module = module.rpartition(".")[0]
    return None


def refuse_module(module: str) -> None:
    """Report a module that only BigFlow 1.x has.

    :raises AbsentModuleError: if BigFlow 1.x has the module, or a package around it.
    """
    hint = _hint_for(module)
    if hint is not None:
        raise AbsentModuleError(module, hint)


def refuse_attribute(package: str, name: str) -> NoReturn:
    """Report a name that a package lacks, for its ``__getattr__``.

    :raises AbsentAttributeError: for a module of BigFlow 1.x. ``hasattr`` returns False.
    :raises AttributeError: for any other name.
    """
    hint = _MODULES.get(f"{package}.{name}")
    if hint is not None:
        raise AbsentAttributeError(f"{package}.{name}", hint)
    raise AttributeError(f"module {package!r} has no attribute {name!r}")


def refuse_name(module: str, name: str) -> NoReturn:
    """Report a name that a module lacks, for its ``__getattr__``.

    :raises AbsentModuleError: if BigFlow 1.x has the name: `from module import name` shows only
        this error as it is.
    :raises AttributeError: for any other name.
    """
    if name in _NAMES:
        raise AbsentModuleError(f"{module}.{name}", _NAMES[name])
    raise AttributeError(f"module {module!r} has no attribute {name!r}")
