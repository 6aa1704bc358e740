"""Configuration as code: one named set of properties for each environment."""

from __future__ import annotations

import os

from bigflow.errors import BigflowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_PREFIX = "bf_"


def current_env() -> str | None:
    """Return the name of this process's configuration: the variable ``bf_env``."""
    return os.environ.get(f"{_PREFIX}env") or None


def set_current_env(name: str) -> None:
    """Set the configuration of this process and of its child processes."""
    os.environ[f"{_PREFIX}env"] = name


class Config:
    """One named set of properties for each environment.

    For example:

        config = Config("dev", {"bucket": "{env}-data"}).add_configuration("prod", {"days": 7})
        config.resolve("prod")  # {"env": "prod", "bucket": "prod-data", "days": 7}

    ``{name}`` in a string is replaced by the property of that name if it is a string too; ``{env}``
    is the name of the configuration. Other braces stay. A property that is None or missing comes
    from the environment variable ``bf_<name>``, for example a secret.

    :param name: the name of the first configuration.
    :param properties: its properties.
    :param is_master: the other configurations inherit its properties.
    :param is_default: it is used when no name is given and ``bf_env`` is not set.
    :param environment_variables_prefix: replaces ``bf_``.
    """

    def __init__(
        self,
        name: str,
        properties: Mapping[str, Any],
        is_master: bool = True,
        is_default: bool = True,
        environment_variables_prefix: str | None = None,
    ) -> None:
        self.environment_variables_prefix = environment_variables_prefix or _PREFIX
        self.default_env_name: str | None = None
        self.master_properties: Mapping[str, Any] = dict(properties) if is_master else {}
        self.configs: dict[str, Mapping[str, Any]] = {}
        self._add(name, dict(properties), is_default=is_default)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the configurations, in the order of their addition."""
        return tuple(self.configs)

    def property_names(self, name: str) -> tuple[str, ...]:
        """Return the names of the properties in the code of one configuration.

        :raises KeyError: for an unknown name.
        """
        return tuple(self.configs[name])

    def add_configuration(
        self, name: str, properties: Mapping[str, Any], is_default: bool = False
    ) -> Config:
        """Add a configuration that inherits from the master; return this object.

        :param name: the name of the configuration, such as ``prod``.
        :param properties: its properties; they replace those of the master.
        :param is_default: it is used when no name is given and ``bf_env`` is not set.

        :raises BigflowError: for a name that exists, or a second default.
        """
        self._add(name, {**self.master_properties, **properties}, is_default=is_default)
        return self

    def resolve(self, env_name: str | None = None) -> dict[str, Any]:
        """Return the properties of one configuration and of the environment, interpolated.

        The default of ``env_name`` is the variable ``bf_env``, else the default configuration.

        :raises BigflowError: for an unknown configuration, or when a property is None and its
            environment variable is not set.
        """
        written = self.configs[self.resolve_name(env_name)]
        properties = {**self._from_environment(), **written}
        for key, value in properties.items():
            if value is None:
                properties[key] = self._environment_variable(key)
        return _interpolate(properties)

    def resolve_property(self, property_name: str, env_name: str | None = None) -> Any:
        """Return one property of one configuration.

        :param property_name: the name of the property.
        :param env_name: the configuration; by default as in ``resolve``.

        :raises BigflowError: when neither the configuration nor the environment has it.
        """
        properties = self.resolve(env_name)
        if property_name in properties:
            return properties[property_name]
        return self._environment_variable(property_name)

    def resolve_name(self, env_name: str | None = None) -> str:
        """Return the name of the configuration that ``resolve(env_name)`` uses.

        :raises BigflowError: for an unknown name, and when no configuration is the default.
        """
        variable = self._variable("env")
        name = env_name or os.environ.get(variable) or current_env() or self.default_env_name
        if name is None:
            raise BigflowError(
                "no configuration given, and no default configuration",
                hint=f"give --config or set {variable} to one of: {', '.join(self.names)}",
            )
        if name not in self.configs:
            raise BigflowError(
                f"unknown configuration {name!r}", hint=f"give one of: {', '.join(self.names)}"
            )
        return name

    def pretty_print(self, env_name: str | None = None) -> str:
        """Return the properties of one configuration as text for people.

        :raises BigflowError: as ``resolve`` does.
        """
        from pprint import pformat

        name = self.resolve_name(env_name)
        return f"{name} config:\n{pformat(self.resolve(name), indent=4)}"

    def __str__(self) -> str:
        return "\n".join(self.pretty_print(name) for name in self.names)

    def _add(self, name: str, properties: Mapping[str, Any], *, is_default: bool) -> None:
        if name in self.configs:
            raise BigflowError(
                f"two configurations have the name {name!r}", hint="give each its own name"
            )
        if is_default and self.default_env_name is not None:
            raise BigflowError(
                f"both {self.default_env_name!r} and {name!r} are the default configuration",
                hint="set is_default=True for one only",
            )
        if properties.get("env", name) != name:
            raise BigflowError(
                f"the configuration {name!r} has a property env = {properties['env']!r}",
                hint="remove it: env is always the name of the configuration",
            )
        self.configs[name] = {**properties, "env": name}
        if is_default:
            self.default_env_name = name

    def _from_environment(self) -> dict[str, str]:
        prefix = self.environment_variables_prefix
        return {
            variable.removeprefix(prefix): value
            for variable, value in os.environ.items()
            if variable.startswith(prefix) and variable != self._variable("env")
        }

    def _environment_variable(self, key: str) -> str:
        value = os.environ.get(self._variable(key))
        if not value:
            raise BigflowError(
                f"the property {key!r} is not set",
                hint=f"add it to the configuration, or set {self._variable(key)}",
            )
        return value

    def _variable(self, key: str) -> str:
        return self.environment_variables_prefix + key


class DeploymentConfig(Config):
    """The deployment of a project: the object in ``deployment_config.py``."""


class DatasetConfig:
    """One named set of properties of a BigQuery dataset for each environment.

    It is BigFlow's ``bigflow.bigquery.DatasetConfig`` as far as it needs no cloud: a ``Config``
    with the properties ``project_id``, ``dataset_name``, ``internal_tables``, ``external_tables``,
    ``tables_labels``, ``dataset_labels`` and ``job_labels``.
    """

    def __init__(  # noqa: PLR0917 - the order of BigFlow
        self,
        env: str,
        project_id: str,
        dataset_name: str = "None",
        internal_tables: list[str] | None = None,
        external_tables: dict[str, str] | None = None,
        properties: dict[str, Any] | None = None,
        is_master: bool = True,
        is_default: bool = True,
        tables_labels: dict[str, dict[str, str]] | None = None,
        dataset_labels: dict[str, str] | None = None,
        job_labels: dict[str, str] | None = None,
    ) -> None:
        values = {
            **(properties or {}),
            "project_id": project_id,
            "dataset_name": dataset_name,
            "internal_tables": internal_tables or [],
            "external_tables": external_tables or {},
            "tables_labels": tables_labels or [],
            "dataset_labels": dataset_labels or [],
            "job_labels": job_labels or [],
        }
        self.delegate = Config(env, values, is_master=is_master, is_default=is_default)

    def add_configuration(  # noqa: PLR0917 - the order of BigFlow
        self,
        env: str,
        project_id: str,
        dataset_name: str | None = None,
        internal_tables: list[str] | None = None,
        external_tables: dict[str, str] | None = None,
        properties: dict[str, Any] | None = None,
        is_default: bool = False,
        tables_labels: dict[str, dict[str, str]] | None = None,
        dataset_labels: dict[str, str] | None = None,
        job_labels: dict[str, str] | None = None,
    ) -> DatasetConfig:
        """Add a configuration that inherits from the master; return this object.

        :raises BigflowError: for a name that exists, or a second default.
        """
        given = {
            "dataset_name": dataset_name,
            "internal_tables": internal_tables,
            "external_tables": external_tables,
            "tables_labels": tables_labels,
            "dataset_labels": dataset_labels,
            "job_labels": job_labels,
        }
        values = {**(properties or {}), "project_id": project_id}
        values.update((name, value) for name, value in given.items() if value)
        self.delegate.add_configuration(env, values, is_default=is_default)
        return self

    def create_dataset_manager(self, env: str | None = None) -> None:
        """Report that BigFlow's client of BigQuery is not here.

        :raises AbsentModuleError: always.
        """
        del env
        from bigflow.absent import refuse_module

        refuse_module("bigflow.bigquery.dataset_manager")

    def resolve(self, env_name: str | None = None) -> dict[str, Any]:
        """Return the properties of one configuration: see ``Config.resolve``."""
        return self.delegate.resolve(env_name)

    def resolve_property(self, property_name: str, env: str | None = None) -> Any:
        """Return one property of one configuration: see ``Config.resolve_property``."""
        return self.delegate.resolve_property(property_name, env)

    def resolve_extra_properties(self, env: str | None = None) -> dict[str, Any]:
        """Return the properties of ``properties`` alone."""
        return {k: v for k, v in self.resolve(env).items() if k not in _OF_DATASETS}

    def resolve_project_id(self, env: str | None = None) -> str:
        return str(self.resolve_property("project_id", env))

    def resolve_dataset_name(self, env: str | None = None) -> str:
        return str(self.resolve_property("dataset_name", env))

    def resolve_internal_tables(self, env: str | None = None) -> Any:
        return self.resolve_property("internal_tables", env)

    def resolve_external_tables(self, env: str | None = None) -> Any:
        return self.resolve_property("external_tables", env)

    def resolve_tables_labels(self, env: str | None = None) -> Any:
        return self.resolve_property("tables_labels", env)

    def resolve_dataset_labels(self, env: str | None = None) -> Any:
        return self.resolve_property("dataset_labels", env)

    def resolve_job_labels(self, env: str | None = None) -> Any:
        return self.resolve_property("job_labels", env)

    def pretty_print(self, env_name: str | None = None) -> str:
        """Return the properties of one configuration as text for people."""
        return self.delegate.pretty_print(env_name)

    def __str__(self) -> str:
        return str(self.delegate)


_OF_DATASETS = {
    *("env", "project_id", "dataset_name", "internal_tables", "external_tables"),
    *("tables_labels", "dataset_labels", "job_labels"),
}


def _interpolate(properties: Mapping[str, Any]) -> dict[str, Any]:
    import re

    texts = {key: value for key, value in properties.items() if isinstance(value, str)}

    def expand(key: str, above: tuple[str, ...]) -> str:
        if key in above:
            cycle = " -> ".join((*above[above.index(key) :], key))
            raise BigflowError(
                f"properties reference each other in a cycle: {cycle}",
                hint="replace one reference by its value",
            )

        def text_of(placeholder: re.Match[str]) -> str:
            name = placeholder[1]
            if name == key or name not in texts:  # unchanged, as in BigFlow
                return placeholder[0]
            return expand(name, (*above, key))

        return re.sub(r"\{([^{}]+)\}", text_of, texts[key])

    return {
        key: expand(key, ()) if isinstance(value, str) else value
        for key, value in properties.items()
    }
