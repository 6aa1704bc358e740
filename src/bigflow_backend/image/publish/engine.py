"""Pushing an image from the engine to its registry, with the engine's own credentials' help."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.text import one_line
from bigflow_backend.image.engine.client import engine_faults

if TYPE_CHECKING:
    from docker import APIClient

    from bigflow_backend.image.reference import ImageReference


def push_image(
    api: APIClient, reference: ImageReference, *, say: Callable[[str], None]
) -> str | None:
    """Pushes what has that name; the digest of its manifest there, where the engine tells it.

    :raises UserError: when the engine or the registry refuses.
    """
    digest = None
    with engine_faults("pushing the image"):
        for event in api.push(reference.repository, reference.tag, stream=True, decode=True):
            # The engine tells in the stream that it has failed, and the SDK raises nothing then:
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
