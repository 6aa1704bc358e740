"""Build the image of a wheel, as ``bigflow build-image`` does after it has built the wheel."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.image.reference import image_reference
from bigflow_backend.pipeline import BuildOptions, started
from bigflow_backend.wheel.isolated import described_wheel

if TYPE_CHECKING:
    from collections.abc import Callable

    from bigflow_backend.image.image import PublishedImage
    from bigflow_backend.project.project import Project
    from bigflow_backend.project.settings import ImageSettings
    from bigflow_backend.version import ProjectVersion

__all__ = ["build_image"]


def build_image(
    project: Project,
    wheel: Path,
    *,
    repository: str,
    version: ProjectVersion,
    settings: ImageSettings,
    say: Callable[[str], None] = lambda _line: None,
) -> PublishedImage:
    """Return the image with absolute paths; the wheel is not moved into ``dist/``."""
    vars(project)["version"] = version  # a cached property, which would run git
    value = described_wheel(wheel, Path("wheel") / wheel.name)
    with started(project, BuildOptions(image=settings, say=say)) as steps:
        request = steps.image_request(value, image_reference(repository, version.image_tag))
        request.wheel_file.parent.mkdir()
        try:
            request.wheel_file.hardlink_to(wheel)
        except OSError:  # on another file system
            shutil.copyfile(wheel, request.wheel_file)
        built = steps.image(request)
        image = steps.push(request, built, steps.place(request, built))
    places = {
        name: project.root / path
        for name in ("tar", "layout", "info")
        if (path := getattr(image, name)) is not None
    }
    return dataclasses.replace(image, **places)
