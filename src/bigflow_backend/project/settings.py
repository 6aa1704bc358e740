"""``[tool.bigflow]``: the one model of settings.

Every key is a field of a dataclass below, with ``-`` for ``_``; the text under a field is its
documentation.
"""

from __future__ import annotations

import dataclasses
import types
import typing
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from bigflow_backend.ground.errors import BigflowWarning, UserError, did_you_mean

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class VersionSettings:
    """``[tool.bigflow.version]``"""

    tag_prefix: str = ""
    """What stands before the version in this project's tags, for a repository that holds several
    projects: with ``"reports-"`` the tag ``reports-v1.2.0`` is the version 1.2.0."""


@dataclass(frozen=True, kw_only=True)
class ImageSettings:
    """``[tool.bigflow.image]``"""

    builder: Literal["auto", "engine", "layered"] = "auto"
    """The builder of the image. ``engine`` builds the Dockerfile on a Docker Engine. ``layered``
    needs no engine, and builds the standard Dockerfile. ``auto`` is ``layered`` where it can."""

    platform: Literal["linux/amd64", "linux/arm64"] | None = None
    """What the image runs on; by default a machine like this one, or like the engine's."""

    base_image: str | None = None
    """The value handed to the Dockerfile's ``ARG BASE_IMAGE``; by default the Dockerfile's own."""

    network: str | None = None
    """The network of the build's RUN steps, as ``docker build --network`` takes it."""

    find_links: tuple[str, ...] = ()
    """Directories of wheels, relative to the project, for requirements that are on no index. They
    are in the build context as ``wheels/``."""

    build_args: dict[str, str] = field(default_factory=dict)
    """Values of further ``ARG`` of the Dockerfile. They stay in the image's history: no secrets."""

    context: tuple[str, ...] = ()
    """Files and directories of the project that the build context holds besides the Dockerfile,
    the wheel, ``resources/`` and ``wheels/``; for a Dockerfile of one's own."""

    export_tar: bool = True
    """Whether the image is written to ``.image/`` as a tar archive, too."""

    oci_layout: bool = False
    """Whether the layered builder writes the image to ``.image/`` as an OCI layout, too: a
    directory."""

    push: bool = False
    """Whether the image is pushed to its registry."""

    load: bool = False
    """Whether the layered builder loads the image into the Docker Engine, too."""

    insecure_registries: tuple[str, ...] = ()
    """Registries, as ``"host:port"``, that the layered builder speaks to without TLS; those on
    this machine need not be named."""

    timeout: int = 3600
    """Seconds that a build may take in all."""

    idle_timeout: int = 900
    """Seconds that a build may go on without a line of output."""


@dataclass(frozen=True, kw_only=True)
class DagSettings:
    """``[tool.bigflow.dags]``"""

    target: Literal["composer", "kubernetes"] = "composer"
    """Where Airflow runs: ``composer`` names the namespace, the config file and the connection of
    Cloud Composer 2 and 3; with ``kubernetes`` the Airflow connection alone decides."""

    namespace: str | None = None
    """The namespace of the pods; by default ``composer-user-workloads`` on Composer, else the
    connection's."""

    kubernetes_conn_id: str = "kubernetes_default"
    """The Airflow connection by which the operators reach the cluster."""

    template: str | None = None
    """A Jinja2 template of the DAG files, relative to the project, that extends
    ``bigflow/dag.py.j2``."""

    tags: tuple[str, ...] = ()
    """Tags of every DAG, before those of its workflow."""

    image_pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    """When a node pulls the image."""

    image_pull_secrets: tuple[str, ...] = ()
    """The Kubernetes secrets with which a node pulls the image."""

    startup_timeout_seconds: int = 600
    """How long a pod may take to start, which includes pulling the image and adding a node."""

    on_finish_action: Literal["delete_pod", "keep_pod", "delete_succeeded_pod"] = "delete_pod"
    """What becomes of a pod that has ended."""

    cpu_request: str | None = None
    """The CPU that each pod requests where its job names none, such as ``"500m"``."""

    cpu_limit: str | None = None
    """The same, for the limit."""

    memory_request: str | None = None
    """The memory that each pod requests where its job names none, such as ``"512Mi"``."""

    memory_limit: str | None = None
    """The same, for the limit."""

    pool: str | None = None
    """The Airflow pool of each task whose job names none."""

    service_account: str | None = None
    """The Kubernetes service account of each pod whose job names none."""

    environment: dict[str, str] = field(default_factory=dict)
    """Environment variables of every pod; a job's own of the same name wins, as with the next
    three."""

    labels: dict[str, str] = field(default_factory=dict)
    """Labels of every pod."""

    annotations: dict[str, str] = field(default_factory=dict)
    """Annotations of every pod."""

    node_selector: dict[str, str] = field(default_factory=dict)
    """The node labels that every pod wants."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``[tool.bigflow]``"""

    package: str | None = None
    """The main package, where project_setup.py names none in ``PROJECT_NAME``."""

    packages: tuple[str, ...] = ()
    """All top-level packages of the distribution, when there are several; ``resources/`` goes with
    the main one, which is the first unless ``package`` or ``PROJECT_NAME`` names another."""

    source_directory: str = "."
    """The directory that holds the packages, for a project with a src layout: ``"src"``."""

    test_framework: Literal["pytest", "unittest"] = "pytest"
    """The files that pytest takes for tests. ``unittest`` means ``test*.py``; ``pytest`` means the
    files of pytest's own settings, by default ``test_*.py`` and ``*_test.py``."""

    version: VersionSettings = field(default_factory=VersionSettings)
    image: ImageSettings = field(default_factory=ImageSettings)
    dags: DagSettings = field(default_factory=DagSettings)


def read_table(model: type[T], table: object, *, key: str, source: str) -> T:
    """Reads a table of ``pyproject.toml`` into ``model``, a dataclass of settings.

    ``key`` is the table's dotted name and ``source`` its file, for the messages.

    :raises UserError: for an unknown key or a value of another type; it names the dotted key.
    """
    if not isinstance(table, dict):
        raise _wrong_type(key, "a table", table, source)
    hints = typing.get_type_hints(model)
    fields = {f.name.replace("_", "-"): f.name for f in dataclasses.fields(model)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name not in fields:
            raise UserError(
                f"{source}: unknown key {name!r} in [{key}]", hint=did_you_mean(name, fields)
            )
        field_name = fields[name]
        values[field_name] = _convert(hints[field_name], value, f"{key}.{name}", source)
    return model(**values)


def _convert(wanted: Any, value: object, key: str, source: str) -> Any:
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if dataclasses.is_dataclass(wanted):
        return read_table(typing.cast("type[Any]", wanted), value, key=key, source=source)
    if origin in (typing.Union, types.UnionType):
        (inner,) = (a for a in arguments if a is not type(None))
        return _convert(inner, value, key, source)
    if origin is Literal:
        if key == "tool.bigflow.image.builder":
            value = current_builder(value)
        if value not in arguments:
            choices = " or ".join(repr(a) for a in arguments)
            raise UserError(
                f"{source}: {key} is {value!r}, which is not one of its values",
                hint=f"write {choices}",
            )
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong_type(key, "a list of strings", value, source)
        return tuple(_convert(arguments[0], v, f"{key}[{i}]", source) for i, v in enumerate(value))
    if origin is dict:
        return dict(_string_table(value, key, source))
    if type(value) is not wanted:
        raise _wrong_type(key, _NAMES[wanted], value, source)
    return value


def current_builder(name: object) -> object:
    """Return ``layered`` for its old name ``embedded``, with a warning."""
    if name != "embedded":
        return name
    message = "the builder 'embedded' is now called 'layered': write 'layered'"
    warnings.warn(message, BigflowWarning, stacklevel=2)
    return "layered"


def _string_table(value: object, key: str, source: str) -> Mapping[str, str]:
    if not isinstance(value, dict):
        raise _wrong_type(key, "a table of strings", value, source)
    for name, item in value.items():
        if not isinstance(item, str):
            raise _wrong_type(f"{key}.{name}", "a string", item, source)
    return value


_NAMES = {str: "a string", bool: "true or false", int: "a whole number"}


def _wrong_type(key: str, wanted: str, value: object, source: str) -> UserError:
    return UserError(
        f"{source}: {key} must be {wanted}, not {value!r}", hint=f"write {wanted} there"
    )
