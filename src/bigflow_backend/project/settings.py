"""``[tool.bigflow]`` of pyproject.toml -> :class:`Settings`.

Every key is a field of a dataclass below, with ``-`` for ``_``. The text below a field is its
documentation; its first sentence is also the help of the command-line option. Each has an
environment variable; ``settings_sources`` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

OF_USER = {"user": True}
"""Marks a setting that the user's file may have, too: it is that of a machine or a person."""


@dataclass(frozen=True, kw_only=True)
class VersionSettings:
    """``[tool.bigflow.version]``"""

    tag_prefix: str = ""
    """The text before the version in this project's tags. It is for a repository with several
    projects: with ``"reports-"`` the tag ``reports-v1.2.0`` is the version 1.2.0."""

    paths: tuple[str, ...] = ()
    """The files and directories, relative to the project, whose commits make new versions. The
    default is the whole repository. The projects of the repository that this one depends on count,
    too. Example: ``[".", "../sql"]``."""


@dataclass(frozen=True, kw_only=True)
class ImageSettings:
    """``[tool.bigflow.image]``"""

    builder: Literal["auto", "engine", "layered"] = "auto"
    """The builder of the image. ``engine`` builds the Dockerfile with Docker or Podman. ``layered``
    needs no engine, and builds the standard Dockerfile. ``auto`` is ``layered`` if that is
    possible, else ``engine``."""

    platforms: tuple[Literal["linux/amd64", "linux/arm64"], ...] = field(
        default=(), metadata={"singular": "platform"}
    )
    """The platforms of the image. Several make one image for all of them, with one digest (layered
    builder). The default is the platform of this machine, or of the engine. For one platform,
    ``platform = "linux/amd64"`` is the same."""

    base_image: str | None = None
    """The value of the Dockerfile's ``ARG BASE_IMAGE``. The default is in the Dockerfile."""

    network: str | None = None
    """The network of the RUN steps, as in ``docker build --network``. Example: ``"host"``."""

    find_links: tuple[str, ...] = ()
    """Directories of wheels for requirements that no index has, relative to the project. In the
    build context they are ``wheels/``."""

    groups: tuple[str, ...] = ()
    """Dependency groups that the image installs, from ``uv.lock`` or ``pylock.toml``."""

    extras: tuple[str, ...] = ()
    """Extras of the project that the image installs, from ``uv.lock`` or ``pylock.toml``."""

    locked: bool | None = None
    """Require a lock that fits the dependencies. The default is true where the variable ``CI`` is
    set and a lock exists. With false, a lock does not count."""

    build_args: dict[str, str] = field(default_factory=dict)
    """Values of other ``ARG`` of the Dockerfile. The image's history shows them, so they must not
    be secrets."""

    secrets: tuple[str, ...] = ()
    """Secrets for ``RUN --mount=type=secret``, as in ``docker build --secret`` (engine builder).
    A file is relative to the project. Example: ``"id=netrc,src=.netrc"``."""

    context: tuple[str, ...] = ()
    """Files and directories to add to the build context, for your own Dockerfile. The context
    always has the Dockerfile, the wheel, ``resources/`` and ``wheels/``."""

    export_tar: bool = True
    """Write the image to ``.image/`` as a tar archive."""

    oci_layout: bool = False
    """Write the image to ``.image/`` as a directory with an OCI layout (layered builder)."""

    compression: Literal["auto", "gzip", "zstd"] = "auto"
    """The compression of the layers over the base (layered builder). ``auto`` is ``zstd`` for an
    image that goes only to a registry, or to an engine that loads it: Docker 23 or Podman 4.3. An
    image with an archive or a layout has ``gzip``."""

    push: bool = False
    """Push the image to its registry."""

    load: bool = False
    """Load the image into the engine (layered builder)."""

    tags: tuple[str, ...] = ()
    """More tags of the image, beside the version; they move after it. Example: ``["latest"]``."""

    insecure_registries: tuple[str, ...] = field(default=(), metadata=OF_USER)
    """Registries without TLS, as ``"host:port"`` (layered builder). Registries on this machine
    need no entry."""

    registry_mirrors: dict[str, tuple[str, ...]] = field(default_factory=dict, metadata=OF_USER)
    """A registry, and the mirrors that base images are pulled from first, in turn: host, port, and
    the start of the path (layered builder). One mirror needs no list. Example:
    ``{"docker.io" = ["mirror.example.com/docker", "other.example.com"]}``."""

    timeout: int = 3600
    """The longest time of a build, in seconds."""

    idle_timeout: int = 900
    """The longest time without a line of output from the build, in seconds."""


@dataclass(frozen=True, kw_only=True)
class DagSettings:
    """``[tool.bigflow.dags]``"""

    target: Literal["composer", "kubernetes"] = "composer"
    """The place of Airflow. ``composer`` uses the namespace, the config file and the connection of
    Cloud Composer 2 and 3. ``kubernetes`` uses the Airflow connection only."""

    namespace: str | None = None
    """The namespace of the pods. The default is ``composer-user-workloads`` on Composer, else the
    namespace of the connection."""

    kubernetes_conn_id: str = "kubernetes_default"
    """The Airflow connection to the Kubernetes cluster."""

    dag_id: Literal["versioned", "workflow"] = "versioned"
    """The ids of the DAGs. ``versioned`` gives each version a DAG of its own, as in BigFlow.
    ``workflow`` makes the workflow's id the id of one DAG with one history; it needs a start date
    that does not move."""

    start_date: str | None = None
    """The first runtime of workflows that have no ``start_date`` and no ``start_time_factory`` of
    their own, in their time zone. Example: ``"2026-01-31"``."""

    template: str | None = None
    """A Jinja2 template for the DAG files that extends ``bigflow/dag.py.j2``, relative to the
    project."""

    keep_retired_days: int = 30
    """The longest time, in days, for which builds with ``--deployed`` write a retired DAG again."""

    tags: tuple[str, ...] = ()
    """Tags of every DAG. The tags of its workflow follow them."""

    image_pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    """When a node pulls the image."""

    image_pull_secrets: tuple[str, ...] = ()
    """The Kubernetes secrets for pulling the image."""

    startup_timeout_seconds: int = 600
    """The longest time until a pod starts, in seconds. It includes pulling the image and adding a
    node."""

    on_finish_action: Literal["delete_pod", "keep_pod", "delete_succeeded_pod"] = "delete_pod"
    """The pods that Airflow deletes when they end."""

    cpu_request: str | None = None
    """The CPU request of pods whose job has none. Example: ``"500m"``."""

    cpu_limit: str | None = None
    """The CPU limit of pods whose job has none."""

    memory_request: str | None = None
    """The memory request of pods whose job has none. Example: ``"512Mi"``."""

    memory_limit: str | None = None
    """The memory limit of pods whose job has none."""

    pool: str | None = None
    """The Airflow pool of tasks whose job has none."""

    service_account: str | None = None
    """The Kubernetes service account of pods whose job has none."""

    environment: dict[str, str] = field(default_factory=dict)
    """Environment variables of every pod. Variables of the job have priority."""

    labels: dict[str, str] = field(default_factory=dict)
    """Labels of every pod. Labels of the job have priority."""

    annotations: dict[str, str] = field(default_factory=dict)
    """Annotations of every pod. Annotations of the job have priority."""

    node_selector: dict[str, str] = field(default_factory=dict)
    """Labels of the nodes for every pod. Those of the job have priority."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``[tool.bigflow]``"""

    package: str | None = None
    """The main package, if project_setup.py has no ``PROJECT_NAME``."""

    packages: tuple[str, ...] = ()
    """All top-level packages of the distribution, if there are several. The workflows of all get
    DAGs. ``resources/`` belongs to the main package, and all can read it. The main package is
    ``PROJECT_NAME``, else ``package``, else the first."""

    source_directory: str = "."
    """The directory with the packages. For a src layout it is ``"src"``."""

    test_framework: Literal["pytest", "unittest"] = "pytest"
    """The names of test files. pytest runs all tests. ``unittest`` makes it collect ``test*.py``;
    ``pytest`` keeps its own setting, by default ``test_*.py`` and ``*_test.py``."""

    version: VersionSettings = field(default_factory=VersionSettings)
    image: ImageSettings = field(default_factory=ImageSettings)
    dags: DagSettings = field(default_factory=DagSettings)
