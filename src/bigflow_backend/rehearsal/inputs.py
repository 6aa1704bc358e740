"""``rehearsal.toml`` -> the Airflow Variables, and the secrets and ConfigMaps of a rehearsal.

network = "host"

[variables]
env = "dev"

[secrets.db-password]
password = "..."

[configmaps.app-settings]
level = "debug"
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bigflow_backend.ground.errors import UserError, did_you_mean
from bigflow_backend.ground.files import read_text
from bigflow_backend.ground.foreign.text import one_line
from bigflow_backend.ground.foreign.toml import parse_toml
from bigflow_backend.rehearsal.api.status import ApiError
from bigflow_backend.rehearsal.api.validation import checked_config_map, checked_secret

NAME = "rehearsal.toml"
_SECRETS, _CONFIG_MAPS = "secrets", "configmaps"
_NETWORKS = ("none", "host")


@dataclass(frozen=True)
class Inputs:
    """The secrets, ConfigMaps and Variables that the production would have."""

    file: str = NAME
    """The path as the user knows it."""
    network: str = "none"
    """The network of the pods: ``none``, or ``host`` for that of this machine."""
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    configmaps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def with_variables(self, more: Mapping[str, str]) -> Inputs:
        """Return them with Variables that the file may replace."""
        return dataclasses.replace(self, variables={**more, **self.variables})

    def check(self, dag: str, variables: Iterable[str], pods: Mapping[str, Any]) -> None:
        """Check that everything is there that a DAG reads. ``pods`` is job -> manifest.

        :raises UserError: for a Variable, a secret, a ConfigMap or a key that is missing.
        """
        for name in variables:
            if name not in self.variables:
                raise UserError(
                    f"{dag} reads the Airflow Variable {name!r}, which {self.file} does not have",
                    hint=f'write into {self.file}, below [variables]: {_key(name)} = "..."',
                )
        for job, pod in pods.items():
            for table, name, key in _needed(pod):
                found = (self.secrets if table == _SECRETS else self.configmaps).get(name)
                if found is None or (key and key not in found):
                    kind = "secret" if table == _SECRETS else "ConfigMap"
                    what = f"the key {key!r} of the {kind}" if key else f"the {kind}"
                    raise UserError(
                        f"job {dag}.{job} needs {what} {name!r}, which {self.file} does not have",
                        hint=f"write into {self.file}, below [{table}.{_key(name)}]:"
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
    known = ("network", _SECRETS, _CONFIG_MAPS, "variables")
    for key in document:
        if key not in known:
            raise UserError(f"{name}: unknown key {key!r}", hint=did_you_mean(key, known))
    network = document.get("network", "none")
    if network not in _NETWORKS:
        raise UserError(
            f"{name}: network must be none or host: got {network!r}", hint='write network = "host"'
        )
    secrets, config_maps = (
        {
            key: _texts(value, f"{name}: {kind}.{key}")
            for key, value in _table(document.get(kind, {}), f"{name}: {kind}").items()
        }
        for kind in (_SECRETS, _CONFIG_MAPS)
    )
    for kind, check in ((secrets, checked_secret), (config_maps, checked_config_map)):
        for key, values in kind.items():
            data = {"stringData" if kind is secrets else "data": values}
            try:
                check({"metadata": {"name": key}, **data})
            except ApiError as error:
                raise UserError(
                    f"{name}: {one_line(str(error))}", hint="write the names that the cluster has"
                ) from error
    return Inputs(
        name,
        network,
        _texts(document.get("variables", {}), f"{name}: variables"),
        secrets,
        config_maps,
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


def _needed(pod: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield what the pod needs: the table of the file, the name, and the key.

    The key is empty if the pod needs all of them.
    """
    spec = pod.get("spec") or {}
    for container in spec.get("containers") or []:
        for source in container.get("envFrom") or []:
            yield from _named(source, "secretRef", "configMapRef")
        for variable in container.get("env") or []:
            source = variable.get("valueFrom") or {}
            # The runtime of a job fails without its `secrets`; for the pod, they are optional.
            if reference := source.get("secretKeyRef"):
                yield _SECRETS, reference["name"], reference["key"]
            reference = source.get("configMapKeyRef")
            if reference and not reference.get("optional"):
                yield _CONFIG_MAPS, reference["name"], reference["key"]
    for volume in spec.get("volumes") or []:
        for source in (volume, *((volume.get("projected") or {}).get("sources") or [])):
            yield from _named(source, "secret", "configMap")


def _named(source: Mapping[str, Any], *fields: str) -> Iterator[tuple[str, str, str]]:
    for field_name, table in zip(fields, (_SECRETS, _CONFIG_MAPS), strict=True):
        reference = source.get(field_name)
        if reference and not reference.get("optional"):
            name = reference.get("secretName") or reference["name"]
            keys = [item["key"] for item in reference.get("items") or []]
            yield from ((table, name, key) for key in keys or [""])
