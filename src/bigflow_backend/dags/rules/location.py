"""Where a value was written, for the message that refuses it."""

from __future__ import annotations

from dataclasses import dataclass

from bigflow_backend.ground.errors import UserError

_SHOWN = 60


@dataclass(frozen=True)
class Place:
    """A workflow, a job of one, or a table of settings, in the words of a message."""

    text: str
    key_separator: str = "_"
    """``-`` where keys are spelled with hyphens, as in pyproject.toml."""

    @classmethod
    def workflow(cls, workflow_id: object) -> Place:
        return cls(f"workflow {shown(workflow_id)}")

    def job(self, job_id: object) -> Place:
        return Place(f"{self.text}, job {shown(job_id)}")

    def fault(self, field: str, value: object, why: str, hint: str) -> UserError:
        """The error that ``field`` is ``value``, which ``why`` says is wrong."""
        return UserError(f"{self.text}: {self.key(field)} is {shown(value)}, {why}", hint=hint)

    def key_fault(self, field: str, key: object, why: str, hint: str) -> UserError:
        """The error that the table ``field`` has a key, which ``why`` says is wrong."""
        return UserError(
            f"{self.text}: {self.key(field)} has the key {shown(key)}, {why}", hint=hint
        )

    def key(self, field: str) -> str:
        head, bracket, rest = field.partition("[")
        return head.replace("_", self.key_separator) + bracket + rest


def shown(value: object) -> str:
    """A value on one line that a terminal shows as it is, not too long."""
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
