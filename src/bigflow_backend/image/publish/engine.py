"""Name, load, save and push an image in a Docker Engine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from bigflow_backend.ground.directories import reported_full_disk, temporary_file
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.text import one_line
from bigflow_backend.image.engine.client import engine_errors
from bigflow_backend.image.engine.images import EngineImages
from bigflow_backend.image.image import StoredImages
from bigflow_backend.image.publish.archive import write_archive
from bigflow_backend.image.reference import remote_name
from bigflow_backend.image.registry import find_digest

if TYPE_CHECKING:
    from docker import APIClient

    from bigflow_backend.image.image import BuildRequest, StoredImage
    from bigflow_backend.image.reference import ImageReference


def load_image(request: BuildRequest, image: StoredImage) -> str:
    """Load an image of the store into the engine, without a name; return its id there.

    :raises UserError: if there is no engine, or it refuses the image.
    """
    session = request.session
    with contextlib.ExitStack() as stack:
        with reported_full_disk():
            archive = stack.enter_context(temporary_file())
            write_archive(session.store, StoredImages(image.manifest, (image,)), (), archive)
        archive.seek(0)
        with engine_errors("loading the image"):
            (loaded,) = session.engine.images.load(archive)
    image_id = str(loaded.id)
    images = EngineImages(session.engine)
    request.transaction.on_failure(lambda: images.discard([image_id]))
    return image_id


def push_from_engine(request: BuildRequest) -> str | None:
    """Push the image, which has its names in the engine; return the digest, if it is known.

    :raises UserError: if the engine or the registry refuses.
    """
    api = request.session.engine.api
    # The version's tag comes first.
    digests = [push_image(api, name, say=request.say) for name in request.references]
    digest = digests[0]
    if digest is None:  # Podman 4 does not report it
        with contextlib.suppress(UserError):
            digest = find_digest(
                remote_name(str(request.reference)), registries=request.session.registries
            )
    return digest


def push_image(
    api: APIClient, reference: ImageReference, *, say: Callable[[str], None]
) -> str | None:
    """Push the image of that name; return the digest of its manifest, if the engine reports it.

    :raises UserError: if the engine or the registry refuses.
    """
    digest = None
    with engine_errors("pushing the image"):
        for event in api.push(reference.repository, reference.tag, stream=True, decode=True):
            # The engine reports an error in the stream, and the SDK does not raise it:
            # https://github.com/docker/docker-py/issues/3277
            if "error" in event or "errorDetail" in event:
                detail = event.get("errorDetail") or {}
                message = one_line(str(detail.get("message") or event.get("error")))
                raise UserError(
                    f"the Docker Engine could not push {reference}: {message}",
                    hint="docker login to that registry, or see its log",
                )
            digest = event.get("aux", {}).get("Digest", digest)
            if "status" in event and not event.get("progressDetail"):
                say(" ".join(filter(None, (event.get("id"), event["status"]))))
    return digest
