"""How an image is to be built."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bigflow_backend.project.settings import ImageSettings


@dataclass(frozen=True, kw_only=True)
class ImageOptions:
    """The settings of a build, each as the command line or the project's files have it."""

    builder: str = "auto"
    """``auto``, ``engine`` or ``embedded``"""
    platform: str | None = None
    """``linux/amd64`` or ``linux/arm64``; None is this machine's, or the engine's."""
    base_image: str | None = None
    """The value of the Dockerfile's ``ARG BASE_IMAGE``; None leaves it to the Dockerfile."""
    network: str | None = None
    """The network of RUN steps: ``host``, ``none``, ...; None leaves it to the engine."""
    find_links: tuple[Path, ...] = ()
    """Directories of wheels; relative ones start at the project's root."""
    build_args: Mapping[str, str] = field(default_factory=dict)
    """Values for further ``ARG`` of the Dockerfile."""
    context: tuple[str, ...] = ()
    """Further paths of the project for the build context."""
    export_tar: bool = True
    """Whether ``.image/`` gets the image as a tar archive."""
    oci_layout: bool = False
    """Whether ``.image/`` gets the image as an OCI layout directory; the embedded builder's."""
    push: bool = False
    """Whether the image is pushed to its registry."""
    load: bool = False
    """Whether the embedded builder loads the image into the Docker Engine."""
    insecure_registries: tuple[str, ...] = ()
    """Registries that the embedded builder speaks to without TLS, as ``host:port``."""
    timeout: int = 3600
    """Seconds for the whole build."""
    idle_timeout: int = 900
    """Seconds without a line of output."""

    @classmethod
    def from_settings(
        cls,
        settings: ImageSettings,
        *,
        builder: str | None = None,
        platform: str | None = None,
        base_image: str | None = None,
        network: str | None = None,
        find_links: Iterable[Path] = (),
        export_tar: bool | None = None,
        oci_layout: bool | None = None,
        push: bool | None = None,
        load: bool | None = None,
    ) -> ImageOptions:
        """``[tool.bigflow.image]``, under what the command line says.

        ``find_links`` come before those of the settings; make them absolute where they are
        relative to another directory than the project's.
        """
        values = {f.name: getattr(settings, f.name) for f in dataclasses.fields(cls)}
        values["find_links"] = (*find_links, *map(Path, settings.find_links))
        said = {
            "builder": builder,
            "platform": platform,
            "base_image": base_image,
            "network": network,
            "export_tar": export_tar,
            "oci_layout": oci_layout,
            "push": push,
            "load": load,
        }
        values |= {name: value for name, value in said.items() if value is not None}
        return cls(**values)
