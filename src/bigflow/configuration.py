"""Configuration as code: named sets of properties, one for each environment."""

from __future__ import annotations

import os

from bigflow.errors import BigflowError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["Config", "DeploymentConfig", "current_env", "set_current_env"]

_PREFIX = "bf_"


def current_env() -> str | None:
    """The name of the configuration that this process runs with: the variable ``bf_env``."""
    return os.environ.get(f"{_PREFIX}env") or None


def set_current_env(name: str) -> None:
    """Makes ``name`` the configuration of this process and of those that it starts."""
    os.environ[f"{_PREFIX}env"] = name


class Config:
    """Named sets of properties, one for each environment::

        config = Config("dev", {"bucket": "{env}-data"}).add_configuration("prod", {"days": 7})
        config.resolve("prod")  # {"env": "prod", "bucket": "prod-data", "days": 7}

    ``{name}`` in a string stands for the property of that name, where it is a string, too;
    ``{env}``, which each configuration has, is its name. Braces around anything else are left
    alone. A property that is None, or that is not written down at all, is taken from the variable
    ``bf_<name>`` of the operating system's environment: a secret, say.

    :param name: the name of the first configuration.
    :param properties: its properties.
    :param is_master: the other configurations inherit its properties.
    :param is_default: it is taken where no name is given and ``bf_env`` is not set.
    :param environment_variables_prefix: in place of ``bf_``.
    """

    def __init__(
        self,
        name: str,
        properties: Mapping[str, Any],
        is_master: bool = True,
        is_default: bool = True,
        environment_variables_prefix: str = _PREFIX,
    ) -> None:
        self.environment_variables_prefix = environment_variables_prefix
        self.default_env_name: str | None = None
        self._master: Mapping[str, Any] = dict(properties) if is_master else {}
        self._configurations: dict[str, Mapping[str, Any]] = {}
        self._add(name, dict(properties), is_default=is_default)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the configurations, in the order in which they were added."""
        return tuple(self._configurations)

    def property_names(self, name: str) -> tuple[str, ...]:
        """The names of the properties that are written down for one configuration."""
        return tuple(self._configurations[name])

    def add_configuration(
        self, name: str, properties: Mapping[str, Any], is_default: bool = False
    ) -> Config:
        """Adds one more, which inherits from the master; returns this object.

        :raises BigflowError: for a name that is taken, or a second default.
        """
        self._add(name, {**self._master, **properties}, is_default=is_default)
        return self

    def resolve(self, env_name: str | None = None) -> dict[str, Any]:
        """The properties of one configuration, with those of the environment, interpolated.

        ``env_name`` is by default the variable ``bf_env``, else the default configuration.

        :raises BigflowError: when there is no such configuration, or a property that is None is
            not in the environment.
        """
        written = self._configurations[self.resolve_name(env_name)]
        properties = {**self._from_environment(), **written}
        for key, value in properties.items():
            if value is None:
                properties[key] = self._environment_variable(key)
        return _interpolate(properties)

    def resolve_property(self, property_name: str, env_name: str | None = None) -> Any:
        """One property of one configuration.

        :raises BigflowError: when it is neither in the configuration nor in the environment.
        """
        properties = self.resolve(env_name)
        if property_name in properties:
            return properties[property_name]
        return self._environment_variable(property_name)

    def resolve_name(self, env_name: str | None = None) -> str:
        """The name of the configuration that ``resolve(env_name)`` takes.

        :raises BigflowError: when there is none of that name, or none is the default.
        """
        variable = self._variable("env")
        name = env_name or os.environ.get(variable) or current_env() or self.default_env_name
        if name is None:
            raise BigflowError(
                "no configuration is named, and none is the default",
                hint=f"give --config or set {variable}; there are: {', '.join(self.names)}",
            )
        if name not in self._configurations:
            raise BigflowError(
                f"there is no configuration {name!r}", hint=f"there are: {', '.join(self.names)}"
            )
        return name

    def pretty_print(self, env_name: str | None = None) -> str:
        """The properties of one configuration, to read."""
        from pprint import pformat

        name = self.resolve_name(env_name)
        return f"{name} config:\n{pformat(self.resolve(name), indent=4)}"

    def __str__(self) -> str:
        return "\n".join(self.pretty_print(name) for name in self.names)

    def _add(self, name: str, properties: Mapping[str, Any], *, is_default: bool) -> None:
        if name in self._configurations:
            raise BigflowError(
                f"there are two configurations {name!r}", hint="give each a name of its own"
            )
        if is_default and self.default_env_name is not None:
            raise BigflowError(
                f"both {self.default_env_name!r} and {name!r} are the default configuration",
                hint="set is_default for one of them only",
            )
        if properties.get("env", name) != name:
            raise BigflowError(
                f"the configuration {name!r} has a property env = {properties['env']!r}",
                hint="leave it out: env is the configuration's name",
            )
        self._configurations[name] = {**properties, "env": name}
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
                hint=f"add it to the configuration, or set the variable {self._variable(key)}",
            )
        return value

    def _variable(self, key: str) -> str:
        return self.environment_variables_prefix + key


class DeploymentConfig(Config):
    """Where a project is deployed to: what ``deployment_config.py`` holds."""


def _interpolate(properties: Mapping[str, Any]) -> dict[str, Any]:
    import re

    texts = {key: value for key, value in properties.items() if isinstance(value, str)}

    def expand(key: str, above: tuple[str, ...]) -> str:
        if key in above:
            circle = " -> ".join((*above[above.index(key) :], key))
            raise BigflowError(
                f"properties stand for each other in a circle: {circle}",
                hint="write one of them out",
            )

        def text_of(placeholder: re.Match[str]) -> str:
            name = placeholder[1]
            if name == key or name not in texts:  # BigFlow leaves these alone
                return placeholder[0]
            return expand(name, (*above, key))

        return re.sub(r"\{([^{}]+)\}", text_of, texts[key])

    return {
        key: expand(key, ()) if isinstance(value, str) else value
        for key, value in properties.items()
    }
