"""``rehearsal.toml`` -> the Airflow Variables and the Kubernetes secrets of a rehearsal.

network = "host"

[variables]
env = "dev"

[secrets.db-password]
password = "..."
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bigflow_backend.ground.errors import UserError, did_you_mean
from bigflow_backend.ground.files import read_text
from bigflow_backend.ground.foreign.toml import parse_toml

NAME = "rehearsal.toml"
_NETWORKS = ("none", "host")


@dataclass(frozen=True)
class Inputs:
    """The secrets and Variables that the cluster and the Airflow of production would have."""

    file: str = NAME
    """The path as the user knows it."""
    network: str = "none"
    """The network of the pods: ``none``, or ``host`` for that of this machine."""
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def with_variables(self, more: Mapping[str, str]) -> Inputs:
        """Return them with Variables that the file may replace."""
        return dataclasses.replace(self, variables={**more, **self.variables})

    def check(self, dag: str, variables: Iterable[str], pods: Mapping[str, Any]) -> None:
        """Check that everything is there that a DAG reads. ``pods`` is job -> manifest.

        :raises UserError: for a Variable, a secret or a key that is missing.
        """
        for name in variables:
            if name not in self.variables:
                raise UserError(
                    f"{dag} reads the Airflow Variable {name!r}, which {self.file} does not have",
                    hint=f'write into {self.file}, below [variables]: {_key(name)} = "..."',
                )
        for job, pod in pods.items():
            for secret, key in _needed_secrets(pod):
                if secret not in self.secrets or (key and key not in self.secrets[secret]):
                    what = f"the key {key!r} of the secret" if key else "the secret"
                    raise UserError(
                        f"job {dag}.{job} needs {what} {secret!r}, which {self.file} does not have",
                        hint=f"write into {self.file}, below [secrets.{_key(secret)}]:"
                        f' {_key(key or "KEY")} = "..."',
                    )


def read_inputs(path: Path | None, root: Path) -> Inputs:
    """Return the content of ``path``, else of ``rehearsal.toml`` in ``root``, which may be missing.

    :raises UserError: if it cannot be read, or has an unknown key or a value of another type.
    """
    file = path or root / NAME
    if path is None and not file.exists():
        return Inputs()
    name = NAME if path is None else str(path)
    try:
        document = parse_toml(read_text(file))
    except ValueError as error:
        raise UserError(f"{name} is not valid TOML: {error}", hint="fix that line") from error
    known = ("network", "secrets", "variables")
    for key in document:
        if key not in known:
            raise UserError(f"{name}: unknown key {key!r}", hint=did_you_mean(key, known))
    network = document.get("network", "none")
    if network not in _NETWORKS:
        raise UserError(
            f"{name}: network must be none or host: got {network!r}", hint='write network = "host"'
        )
    secrets = _table(document.get("secrets", {}), f"{name}: secrets")
    return Inputs(
        name,
        network,
        _texts(document.get("variables", {}), f"{name}: variables"),
        {key: _texts(value, f"{name}: secrets.{key}") for key, value in secrets.items()},
    )


# The values may be secrets, so no message has them.
_KINDS = {str: "a text", bool: "a boolean", int: "a number", float: "a number", list: "a list"}


def _texts(value: object, place: str) -> dict[str, str]:
    table = _table(value, place)
    for key, text in table.items():
        if not isinstance(text, str):
            raise UserError(
                f"{place}.{key} must be a text: got {_KINDS.get(type(text), 'another value')}",
                hint="write it in quotes",
            )
    return table


def _table(value: object, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(
            f"{place} must be a table: got {_KINDS.get(type(value), 'another value')}",
            hint=f'write [{place.rpartition(": ")[2]}], and below it NAME = "VALUE"',
        )
    return value


def _key(name: str) -> str:
    """Return the name as a key of TOML."""
    plain = name.replace("-", "").replace("_", "")
    return name if plain.isascii() and plain.isalnum() else f'"{name}"'


def _needed_secrets(pod: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the name and the key of each secret that the pod needs; no key if it needs all."""
    spec = pod.get("spec") or {}
    for container in spec.get("containers") or []:
        for source in container.get("envFrom") or []:
            reference = source.get("secretRef")
            if reference and not reference.get("optional"):
                yield reference["name"], ""
        for variable in container.get("env") or []:
            # The runtime of a job fails without its `secrets`; for the pod, they are optional.
            reference = (variable.get("valueFrom") or {}).get("secretKeyRef")
            if reference:
                yield reference["name"], reference["key"]
