"""The plan of an image: what a build would do. It builds, fetches and writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bigflow_backend.ground.files import has_file
from bigflow_backend.image.build import choose_builder
from bigflow_backend.image.dockerfile import STANDARD, build_args, read_dockerfile
from bigflow_backend.image.imageinfo import ImageFiles
from bigflow_backend.image.platforms import engine_platform
from bigflow_backend.image.reference import all_references

if TYPE_CHECKING:
    from bigflow_backend.image.reference import ImageReference
    from bigflow_backend.project.project import Project
    from bigflow_backend.project.settings import ImageSettings


@dataclass(frozen=True)
class ImagePlan:
    """The image that a build would make, and the places that it would go to."""

    tag: str
    """Its full name, ``repository:tag``."""
    tags: tuple[str, ...]
    """All full names; the first one is ``tag``."""
    builder: str
    """``layered`` or ``engine``, as far as the Dockerfile decides. With ``auto``, an engine builds
    it if a requirement must be compiled, or if only an engine has the base image."""
    reason: str
    """Why it is that builder."""
    base: str | None
    """The name of the base image."""
    platforms: tuple[str, ...]
    """``linux/amd64`` or ``linux/arm64``; none is the platform of this machine or of the engine."""
    files: tuple[str, ...]
    """The files that the build would write, relative to the project."""
    load: bool
    """True if the Docker Engine would get the image."""
    push: bool
    """True if the registry would get the image."""


def plan_image(project: Project, reference: ImageReference, settings: ImageSettings) -> ImagePlan:
    """Return what a build with these settings would do.

    :raises UserError: for the errors that the project's files show.
    """
    builder, reason = choose_builder(settings.builder, project)
    if builder == "engine":
        engine_platform(settings)
    own = project.dockerfile
    dockerfile = read_dockerfile(own if has_file(own) or settings.builder == "engine" else STANDARD)
    arguments = build_args(project, settings, dockerfile)
    platforms = tuple(sorted(set(settings.platforms)))
    several = platforms if len(platforms) > 1 else ()
    files = ImageFiles(project.version.text)
    config = project.deployment_config
    names = {
        str(files.tar): settings.export_tar,
        f"{files.layout}/": settings.oci_layout,
        str(files.info): True,
        **{str(files.bill(name)): True for name in several or ("",)},
        **{str(files.provenance(name)): True for name in several or ("",)},
        f"{files.info.parent}/{config.name}": config.is_file(),
    }
    return ImagePlan(
        tag=str(reference),
        tags=tuple(map(str, all_references(reference, settings.tags))),
        builder=builder,
        reason=reason,
        base=dockerfile.base_image(arguments),
        platforms=platforms,
        files=tuple(name for name, wanted in names.items() if wanted),
        load=settings.load or builder == "engine",
        push=settings.push,
    )
