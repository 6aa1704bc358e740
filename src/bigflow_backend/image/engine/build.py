"""The builder that hands the project's Dockerfile to a Docker Engine, through the docker SDK.

It uses what every engine since Docker 20.10 has, and what Podman's compatible socket has, too: the
classic build API. (The SDK has none for BuildKit: https://github.com/docker/docker-py/issues/2230)
"""

from __future__ import annotations

import contextlib
import time
from typing import IO, TYPE_CHECKING

from bigflow_backend.ground.directories import reported_full_disk, temporary_file
from bigflow_backend.ground.epoch import source_date_epoch
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.text import one_line
from bigflow_backend.image.base.read import is_file_name
from bigflow_backend.image.dockerfile import STANDARD, build_args, read_dockerfile
from bigflow_backend.image.engine.check import check_image
from bigflow_backend.image.engine.client import closed_responses, engine_faults
from bigflow_backend.image.engine.context import context_files, write_context
from bigflow_backend.image.engine.images import EngineImages
from bigflow_backend.image.engine.output import BuildOutput, DisturbedError

if TYPE_CHECKING:
    from docker import APIClient

    from bigflow_backend.image.dockerfile import Dockerfile
    from bigflow_backend.image.image import BuildRequest, Image


def build_image(request: BuildRequest) -> Image:
    """Build the project's Dockerfile, or the standard one, on the engine of the environment.

    :raises UserError: for everything that the user can fix.
    """
    settings, project = request.settings, request.project
    if settings.oci_layout:
        raise UserError(
            "the Docker Engine cannot write an OCI layout",
            hint='remove oci-layout, or use the other builder: builder = "layered"',
        )
    own = project.dockerfile
    path = own if own.exists() or settings.builder == "engine" else STANDARD
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
    client = request.session.engine
    with contextlib.ExitStack() as stack:
        with reported_full_disk():
            context = stack.enter_context(temporary_file())
            write_context(members, context, epoch=source_date_epoch())
        output = _undisturbed(client.api, context, request, arguments, dockerfile)
    images, image_id = EngineImages(client), output.end()
    request.transaction.on_failure(lambda: images.discard([image_id]))
    check_image(client.api, image_id, request)
    return images.described(image_id, base=base, step_images=output.step_images)


def _undisturbed(
    api: APIClient,
    context: IO[bytes],
    request: BuildRequest,
    arguments: dict[str, str],
    dockerfile: Dockerfile,
) -> BuildOutput:
    """Runs the build, and once more when another one has taken its ground away.

    A build that ends removes what it has no more use for; one at the same time may have found it in
    the engine's cache.
    """
    attempts = _ATTEMPTS
    while True:
        context.seek(0)
        network = request.settings.network
        output = BuildOutput(dockerfile, arguments, network=network, say=request.say)
        try:
            _run_build(api, context, request, arguments, output)
        except DisturbedError as error:
            attempts -= 1
            if not attempts:
                raise
            request.say(f"{error.message}; once more")
        else:
            return output


_ATTEMPTS = 3


def _run_build(
    api: APIClient,
    context: IO[bytes],
    request: BuildRequest,
    arguments: dict[str, str],
    output: BuildOutput,
) -> None:
    """Runs the build to its end. The image has no tag yet: it gets one when it is known to be good.

    The SDK has no limit of its own for a build. ``timeout`` here is that of one read, so it limits
    the silence; the whole is limited at each event, of which there is at least one in that time.
    """
    from docker.errors import APIError

    options = request.settings
    deadline = time.monotonic() + options.timeout
    with engine_faults("building the image"), closed_responses(api):
        try:
            events = api.build(
                fileobj=context,
                custom_context=True,
                decode=True,
                # Without these two, containers of failed and of all steps stay behind.
                rm=True,
                forcerm=True,
                buildargs=arguments,
                network_mode=options.network,
                platform=options.platform,
                timeout=min(options.idle_timeout, options.timeout),
            )
            for event in events:
                output.feed(event)
                if time.monotonic() > deadline:
                    raise UserError(
                        f"the build took longer than {options.timeout} seconds",
                        hint="raise timeout in [tool.bigflow.image]",
                    )
        except APIError as error:
            if error.is_client_error():
                raise UserError(
                    f"the Docker Engine refused the Dockerfile: {one_line(str(error.explanation))}",
                    hint="mend that line of the Dockerfile",
                ) from error
            raise
