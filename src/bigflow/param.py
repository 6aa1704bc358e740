"""A value that a person can set when they start a run by hand."""

from __future__ import annotations

from types import MappingProxyType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

REQUIRED: Any = object()
"""The default of a parameter that has none."""


class Param:
    """A parameter of a workflow: ``Workflow(params={"days": Param(7, minimum=1)})``.

    :param default: plain data. Without a default, Airflow asks for a value; that is possible only
        in a workflow without a schedule.
    :param description: shown in Airflow's form.
    :param limits: keywords of JSON schema, such as ``type``, ``enum``, ``minimum``, ``maximum``,
        ``pattern``. Airflow checks them when a run starts.
    """

    def __init__(
        self, default: Any = REQUIRED, description: str | None = None, **limits: Any
    ) -> None:
        self.default = default
        self.description = description
        self.limits = limits

    def __repr__(self) -> str:
        return f"<Param {'required' if self.default is REQUIRED else self.default!r}>"


def defaults(params: object) -> dict[str, Any]:
    """Return the values of a workflow's ``params`` that have one; {} for another kind of object."""
    if not isinstance(params, (dict, MappingProxyType)):
        return {}
    values = {
        name: value.default if isinstance(value, Param) else value for name, value in params.items()
    }
    return {name: value for name, value in values.items() if value is not REQUIRED}
