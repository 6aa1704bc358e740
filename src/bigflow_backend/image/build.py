"""Project and wheel -> image, and ``.image/`` with what is to be known of it."""

from __future__ import annotations

import hashlib
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import replaced_directory
from bigflow_backend.image.choose import builder_for
from bigflow_backend.image.image import BuildRequest, ImageFiles, WheelFile
from bigflow_backend.image.imageinfo import image_info, leftovers, write_info
from bigflow_backend.image.reference import image_reference

if TYPE_CHECKING:
    from bigflow_backend.image.options import ImageOptions
    from bigflow_backend.project.project import Project
    from bigflow_backend.version import ProjectVersion

_log = logging.getLogger("bigflow_backend.image")


@dataclass(frozen=True)
class Image:
    """An image that was built."""

    tag: str
    """Its full name, ``repository:tag``: what ``docker run`` and the DAGs take."""
    id: str
    digest: str | None
    """The digest of its manifest, where it has one already."""
    version: str
    size: int
    """In bytes, unpacked."""
    tar: Path | None
    """``.image/image-<version>.tar``, which ``docker load`` takes."""
    layout: Path | None
    """``.image/oci-layout-<version>``, an OCI layout"""
    in_engine: bool
    """Whether it is in the Docker Engine."""
    pushed: bool
    """Whether it is in its registry."""
    info: Path
    """``.image/imageinfo-<version>.json``"""
    builder: str
    """What built it, with its version."""
    seconds: float


def build_image(
    project: Project,
    wheel: Path,
    *,
    repository: str,
    version: ProjectVersion,
    options: ImageOptions,
    say: Callable[[str], None] = _log.info,
) -> Image:
    """Builds the project's image with ``wheel`` in it and replaces ``.image/``.

    The image is ``<repository>:<version.image_tag>`` and stays in the engine. ``say`` gets the
    output of the build, line by line. When the build fails, ``.image/`` and the tag are as they
    were.

    :raises UserError: for everything that the user can mend.
    """
    start = time.perf_counter()
    request = BuildRequest(
        project=project,
        wheel=_wheel_file(wheel, version),
        reference=image_reference(repository, version.image_tag),
        version=version,
        options=options,
        say=say,
    )
    builder = builder_for(options.builder)
    stale = leftovers(project.root / project.images.name)
    with replaced_directory(project.images) as directory:
        files = ImageFiles(
            tar=directory / f"image-{version}.tar" if options.export_tar else None,
            layout=directory / f"oci-layout-{version}" if options.oci_layout else None,
        )
        with builder.build(request, files=files, stale=stale) as built:
            seconds = time.perf_counter() - start
            info = image_info(request, built, seconds=seconds)
            info_path = directory / f"imageinfo-{version}.json"
            write_info(info_path, info)
            if project.deployment_config.is_file():
                shutil.copyfile(
                    project.deployment_config, directory / project.deployment_config.name
                )
    return Image(
        tag=str(request.reference),
        id=built.id,
        digest=built.digest,
        version=version.text,
        size=info["size"],
        tar=files.tar and project.images / files.tar.name,
        layout=files.layout and project.images / files.layout.name,
        in_engine=built.in_engine,
        pushed=options.push,
        info=project.images / info_path.name,
        builder=built.builder,
        seconds=seconds,
    )


def _wheel_file(path: Path, version: ProjectVersion) -> WheelFile:
    """The wheel, which must be that of the version: dist/ may hold one of another day."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename
    from packaging.version import Version

    rebuild = "build the package again: bigflow build-package"
    try:
        name, found, _build, _tags = parse_wheel_filename(path.name)
        digest = _sha256(path)
    except InvalidWheelFilename as error:
        raise UserError(f"{path.name} is not the name of a wheel", hint=rebuild) from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", hint=rebuild) from error
    if found != Version(version.text):
        raise UserError(
            f"{path.name} is of version {found}, but the image would be {version.text}",
            hint=rebuild,
        )
    return WheelFile(path=path, name=name, version=str(found), sha256=digest)


def _sha256(path: Path) -> str:
    """Of a file that may be large, with all the resources in it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
