"""The builder that hands the project's Dockerfile to a Docker Engine, through the docker SDK.

It uses what every engine since Docker 20.10 has, and what Podman's compatible socket has, too: the
classic build API. (The SDK has none for BuildKit: https://github.com/docker/docker-py/issues/2230)
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bigflow_backend.ground.directories import reported_full_disk, temporary_file
from bigflow_backend.ground.epoch import source_date_epoch
from bigflow_backend.ground.errors import UserError, did_you_mean
from bigflow_backend.ground.text import one_line
from bigflow_backend.image.base.read import is_file_name
from bigflow_backend.image.dockerfile import read_dockerfile
from bigflow_backend.image.engine.check import check_image
from bigflow_backend.image.engine.client import closed_responses, engine_faults, reachable_engine
from bigflow_backend.image.engine.context import context_files, write_context
from bigflow_backend.image.engine.images import EngineImages
from bigflow_backend.image.engine.output import BuildOutput, DisturbedError
from bigflow_backend.image.publish.engine import push_image
from bigflow_backend.image.registry import Access, Registries, find_digest, remote_name

if TYPE_CHECKING:
    from docker import APIClient

    from bigflow_backend.image.dockerfile import Dockerfile
    from bigflow_backend.image.image import BuildRequest, BuiltImage, ImageFiles
    from bigflow_backend.image.options import ImageOptions
    from bigflow_backend.project.project import Project
    from bigflow_backend.version import ProjectVersion


@dataclass(frozen=True)
class EngineBuilder:
    """Builds on the engine that the environment names."""

    dockerfile: Path | None = None
    """What it builds; None is the project's own."""

    @contextlib.contextmanager
    def build(
        self, request: BuildRequest, *, files: ImageFiles, stale: tuple[str, ...]
    ) -> Iterator[BuiltImage]:
        """See :class:`bigflow_backend.image.image.Builder`."""
        options = request.options
        if files.layout is not None:
            raise UserError(
                "the Docker Engine writes no OCI layout",
                hint='leave oci-layout out, or take the other builder: builder = "embedded"',
            )
        path = self.dockerfile or request.project.dockerfile
        dockerfile = read_dockerfile(path)
        arguments = build_args(request.project, request.version, options, dockerfile)
        base = dockerfile.base_image(arguments)
        if base is not None and is_file_name(base):
            raise UserError(
                f"the base image {base} is a file, and the Docker Engine takes none",
                hint="docker load it and give its name, or keep to the standard Dockerfile",
            )
        members = context_files(
            request.project,
            request.wheel.path,
            dockerfile=path,
            find_links=options.find_links,
            additions=options.context,
        )
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(reachable_engine(timeout=options.idle_timeout))
            with reported_full_disk():
                context = stack.enter_context(temporary_file())
                write_context(members, context, epoch=source_date_epoch())
            output = _undisturbed(client.api, context, request, arguments, dockerfile)
            images, image_id = EngineImages(client), output.end()
            with images.replacing(image_id, request.reference):
                check_image(client.api, image_id, request)
                with images.tagged(image_id, request.reference):
                    if files.tar is not None:
                        images.save(image_id, request.reference, files.tar)
                    built = images.described(
                        image_id,
                        base=base,
                        step_images=output.step_images,
                    )
                    if options.push:
                        digest = push_image(client.api, request.reference, say=request.say)
                        digest = digest or _digest_in_registry(request)
                        built = dataclasses.replace(built, digest=digest)
                    yield built
            images.discard(set(stale) - set(built.leftovers))


def _digest_in_registry(request: BuildRequest) -> str | None:
    """Of what was pushed; Podman 4 does not tell it."""
    access = Access(plain_http=frozenset(request.options.insecure_registries), attempts=1)
    with Registries(access) as registries, contextlib.suppress(UserError):
        return find_digest(remote_name(str(request.reference)), registries=registries)
    return None


def build_args(
    project: Project, version: ProjectVersion, options: ImageOptions, dockerfile: Dockerfile
) -> dict[str, str]:
    """The values of the Dockerfile's ``ARG``: ours where it asks for them, and all of the user's.

    :raises UserError: when the user gives one that the Dockerfile does not declare; the engine
        would only warn, and build something else than was asked for.
    """
    said = dict(options.build_args)
    if options.base_image is not None:
        said["BASE_IMAGE"] = options.base_image
    declared = dockerfile.arguments
    if options.base_image is not None and "BASE_IMAGE" not in declared:
        raise UserError(
            "the Dockerfile declares no ARG BASE_IMAGE, so base-image (in [tool.bigflow.image], or "
            "--base-image) has no effect on it",
            hint="leave base-image out, or write `ARG BASE_IMAGE` and `FROM ${BASE_IMAGE}` there",
        )
    for name in said:
        if name not in declared and name.upper() not in _PREDEFINED:
            near = did_you_mean(name, declared) if declared else f"write `ARG {name}` there"
            raise UserError(f"the Dockerfile declares no ARG {name}", hint=near)
    _check_base(said.get("BASE_IMAGE"))
    created = datetime.fromtimestamp(source_date_epoch(), timezone.utc)
    urls = {k.casefold(): v for k, v in _project_urls(project).items()}
    ours = {
        "VERSION": version.text,
        "REVISION": version.commit or "",
        "SOURCE": next((urls[k] for k in ("source", "repository", "homepage") if k in urls), ""),
        "CREATED": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return {name: value for name, value in ours.items() if name in declared} | said


def _check_base(name: str | None) -> None:
    """Blames who gave the name; an engine would blame the Dockerfile."""
    if name is None or is_file_name(name):
        return
    try:
        remote_name(name)
    except UserError as error:
        raise UserError(
            f"the base image {error.message}",
            hint=f"correct --base-image, or base-image in [tool.bigflow.image]; {error.hint}",
        ) from error


# https://docs.docker.com/reference/dockerfile/#predefined-args
_PREDEFINED = {"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"}


def _project_urls(project: Project) -> dict[str, str]:
    urls = project.pyproject.get("project", {}).get("urls", {})
    return urls if isinstance(urls, dict) else {}


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
        network = request.options.network
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

    options = request.options
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
