"""Build the project's Dockerfile on a Docker Engine or Podman, and check the image."""

from __future__ import annotations

import contextlib
import re
from collections import deque
from typing import TYPE_CHECKING

from bigflow_backend.ground.directories import reported_full_disk, temporary_file
from bigflow_backend.ground.epoch import source_date_epoch
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import has_file
from bigflow_backend.image.base.read import is_file_name
from bigflow_backend.image.dockerfile import (
    STANDARD,
    build_args,
    installs_requirements,
    read_dockerfile,
)
from bigflow_backend.image.engine.base import check_base
from bigflow_backend.image.engine.build_command import (
    BuildFailedError,
    BuildOptions,
    docker_command,
    podman_command,
)
from bigflow_backend.image.engine.check import check_image
from bigflow_backend.image.engine.client import engine_address, engine_errors, engine_name
from bigflow_backend.image.engine.context import context_files, write_context
from bigflow_backend.image.engine.failure import build_error
from bigflow_backend.image.engine.images import EngineImages
from bigflow_backend.image.platforms import engine_platform
from bigflow_backend.image.standard import is_standard

if TYPE_CHECKING:
    from pathlib import Path

    from bigflow_backend.image.dockerfile import Dockerfile
    from bigflow_backend.image.image import BuildRequest, Image

_LINES_KEPT = 1000
# BuildKit prints the digest of a base image that it pulls.
_PULLED = re.compile(r"\] FROM (?P<name>\S+)@(?P<digest>sha256:[0-9a-f]{64})$")


def build_image(request: BuildRequest) -> Image:
    """Build the project's Dockerfile, or the standard one, on the engine of the environment.

    :raises UserError: for everything that the user can fix.
    """
    settings, project = request.settings, request.project
    platform = engine_platform(settings)
    if settings.oci_layout:
        raise UserError(
            "the Docker Engine cannot write an OCI layout",
            hint='remove oci-layout, or use the other builder: builder = "layered"',
        )
    own = project.dockerfile
    path = own if has_file(own) or settings.builder == "engine" else STANDARD
    dockerfile = read_dockerfile(path)
    arguments = build_args(project, settings, dockerfile)
    base = dockerfile.base_image(arguments)
    if base is not None and is_file_name(base):
        raise UserError(
            f"the base image {base} is a file, which the Docker Engine cannot read",
            hint="run `docker load` and pass the image name, or use the standard Dockerfile",
        )
    members = context_files(
        project,
        request.wheel_file,
        dockerfile=path,
        find_links=[project.root / directory for directory in settings.find_links],
        additions=settings.context,
    )
    if installs_requirements(project):
        staging = request.transaction.outputs.root / ".engine"
        # A Dockerfile without wheels/ gets all from an index.
        runtime = "wheels" in dockerfile.text
        _refuse_explicit_indexes(request)
        wheels_at = dockerfile.copied_to("wheels")
        if wheels_at is None and request.requirements.wheels:
            raise UserError(
                f"{path.name} does not copy wheels/, which has projects of this repository:"
                f" {', '.join(sorted(request.requirements.local_names))}",
                hint="write before the line that runs pip: COPY wheels/ /wheels/",
            )
        written = request.requirements.write(
            staging, absolute=False, runtime=runtime, wheels_at=wheels_at
        )
        members["resources/requirements.txt"] = written.path
        members |= {f"wheels/{wheel.name}": wheel for wheel in written.wheels.iterdir()}
    options = BuildOptions(
        arguments=arguments,
        network=settings.network,
        platform=platform,
        secrets=settings.secrets,
        directory=project.root,
        timeout=settings.timeout,
        idle_timeout=settings.idle_timeout,
    )
    client = request.session.engine
    if base is not None and is_standard(project):
        check_base(request, base)
    digests: dict[str, str] = {}
    image_id = _build(request, members, dockerfile, options, digests)
    images = EngineImages(client)
    request.transaction.on_failure(lambda: images.discard([image_id]))
    check_image(client, image_id, request)
    return images.described(image_id, base=base, digests=digests)


def _refuse_explicit_indexes(request: BuildRequest) -> None:
    """Refuse distributions of an explicit index that find-links does not have.

    The Dockerfile installs with pip, which would ask all indexes for each name.
    """
    links = [request.project.root / directory for directory in request.settings.find_links]
    for index in request.requirements.indexes:
        for pin in sorted(index.pins):
            name, _, version = pin.partition("==")
            stem = f"{name.replace('-', '_')}-{version}"
            if name in request.requirements.names and not any(
                any(directory.glob(f"{stem}[-.]*")) for directory in links
            ):
                raise UserError(
                    f"{request.requirements.place} takes {pin} from the explicit index"
                    f" {index.name}, which pip in the Dockerfile cannot do",
                    hint='set builder = "layered" in [tool.bigflow.image], or add a directory with'
                    " its wheel to find-links",
                )


def _build(
    request: BuildRequest,
    members: dict[str, Path],
    dockerfile: Dockerfile,
    options: BuildOptions,
    digests: dict[str, str],
) -> str:
    """Return the id of the new image, which has no name.

    Add the digests of pulled base images to ``digests``.
    """
    is_podman = engine_name(request.session.engine).startswith("Podman")
    command = podman_command(engine_address()) if is_podman else docker_command()
    lines = deque[str](maxlen=_LINES_KEPT)

    def report(line: str) -> None:
        lines.append(line)
        if pulled := _PULLED.search(line):
            digests[pulled["name"]] = pulled["digest"]
        request.say(line)

    with contextlib.ExitStack() as stack:
        with reported_full_disk():
            context = stack.enter_context(temporary_file())
            write_context(members, context, epoch=source_date_epoch())
        context.seek(0)
        try:
            return command.build(context, options, report=report)
        except BuildFailedError as error:
            with engine_errors("building the image"):
                request.session.engine.ping()
            raise build_error(lines, dockerfile, options) from error
