"""The place of a value, for the message that refuses it."""

from __future__ import annotations

from dataclasses import dataclass

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.settings.places import place_of

_SHOWN = 60


@dataclass(frozen=True)
class Location:
    """A workflow, a job of one, or a table of settings, in the words of a message."""

    text: str
    key_separator: str = "_"
    """``-`` if keys have hyphens, as in pyproject.toml."""

    @classmethod
    def workflow(cls, workflow_id: object) -> Location:
        return cls(f"workflow {shown(workflow_id)}")

    def job(self, job_id: object) -> Location:
        return Location(f"{self.text}, job {shown(job_id)}")

    def error(self, field: str, value: object, why: str, hint: str) -> UserError:
        """Return the error that ``field`` is ``value``; ``why`` says what is wrong with it."""
        return UserError(f"{self.place(field)} is {shown(value)}, {why}", hint=hint)

    def key_error(self, field: str, key: object, why: str, hint: str) -> UserError:
        """Return the error that the table ``field`` has ``key``; ``why`` says what is wrong."""
        return UserError(f"{self.place(field)} has the key {shown(key)}, {why}", hint=hint)

    def place(self, field: str) -> str:
        """Return the place of a field."""
        return f"{self.text}: {self.key(field)}"

    def key(self, field: str) -> str:
        """Return the name of a field, as its file spells it."""
        head, bracket, rest = field.partition("[")
        return head.replace("_", self.key_separator) + bracket + rest


@dataclass(frozen=True)
class SettingsLocation(Location):
    """``[tool.bigflow.dags]``, whose keys also have variables."""

    text: str = "pyproject.toml, [tool.bigflow.dags]"
    key_separator: str = "-"

    def place(self, field: str) -> str:
        """Return the place of a key."""
        return place_of(f"dags.{self.key(field)}")


def shown(value: object) -> str:
    """Return a value for a message: one printable line of limited length."""
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
