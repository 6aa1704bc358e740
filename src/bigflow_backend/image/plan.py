"""What a build of the image would do: nothing is built, fetched or written for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bigflow_backend.image.choose import chosen_builder
from bigflow_backend.image.dockerfile import STANDARD, read_dockerfile
from bigflow_backend.image.engine.build import build_args
from bigflow_backend.image.reference import image_reference

if TYPE_CHECKING:
    from bigflow_backend.image.options import ImageOptions
    from bigflow_backend.project.project import Project
    from bigflow_backend.version import ProjectVersion


@dataclass(frozen=True)
class ImagePlan:
    """What an image would be, and where it would go."""

    tag: str
    """Its full name, ``repository:tag``."""
    builder: str
    """``embedded`` or ``engine``, as far as the Dockerfile decides: where a requirement must be
    compiled, or only an engine has the base image, ``auto`` takes the engine after all."""
    reason: str
    """Why it is that builder."""
    base: str | None
    """The name of the image that it would start from."""
    platform: str | None
    """``linux/amd64`` or ``linux/arm64``; None is this machine's, or the engine's."""
    files: tuple[str, ...]
    """What would be written, relative to the project."""
    load: bool
    """Whether it would be in the Docker Engine."""
    push: bool
    """Whether it would be pushed to its registry."""


def plan_image(
    project: Project, *, repository: str, version: ProjectVersion, options: ImageOptions
) -> ImagePlan:
    """Finds out what :func:`bigflow_backend.image.build_image` would do with the same arguments.

    :raises UserError: for what a build would stumble over, as far as the project's files tell.
    """
    reference = image_reference(repository, version.image_tag)
    builder, reason = chosen_builder(options.builder, project)
    own = project.dockerfile
    dockerfile = read_dockerfile(own if own.exists() or options.builder == "engine" else STANDARD)
    arguments = build_args(project, version, options, dockerfile)
    names = {
        f"image-{version}.tar": options.export_tar,
        f"oci-layout-{version}/": options.oci_layout,
        f"imageinfo-{version}.json": True,
        project.deployment_config.name: project.deployment_config.is_file(),
    }
    return ImagePlan(
        tag=str(reference),
        builder=builder,
        reason=reason,
        base=dockerfile.base_image(arguments),
        platform=options.platform,
        files=tuple(f"{project.images.name}/{name}" for name, wanted in names.items() if wanted),
        load=options.load or builder == "engine",
        push=options.push,
    )
