"""The images in an engine: naming, saving, describing and clearing away our own."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.text import one_line
from bigflow_backend.image.engine.client import engine_errors, engine_name
from bigflow_backend.image.image import BaseInfo, EngineImage, Image, LayerInfo

if TYPE_CHECKING:
    from docker import DockerClient

    from bigflow_backend.ground.transaction import Transaction
    from bigflow_backend.image.reference import ImageReference


class EngineImages:
    """What the builder does with images once they are there.

    Nothing is ever removed by force: an image with another name, with children, or in use stays.
    """

    def __init__(self, client: DockerClient) -> None:
        self._client = client

    def tag(self, image_id: str, reference: ImageReference, transaction: Transaction) -> None:
        """Give the image its name. If the build fails later, the name goes back.

        After the build, the image that had the name before is removed.
        """
        from docker.errors import DockerException

        with engine_errors("tagging the image"):
            before = self._id(str(reference))
            self._client.api.tag(image_id, reference.repository, reference.tag)

        def restore() -> None:
            # If the engine has stopped, the user needs the first error, not this one.
            with contextlib.suppress(DockerException, OSError):
                if before is None:
                    self._client.api.remove_image(str(reference), noprune=True)
                else:
                    self._client.api.tag(before, reference.repository, reference.tag)

        transaction.on_failure(restore)
        if before is not None:
            transaction.after_commit(lambda: self.discard([before]))

    def save(self, image_id: str, reference: ImageReference, tar: Path) -> None:
        """Writes the image, which has that name, to ``tar``, as ``docker save`` does.

        :raises UserError: when another build has taken the name meanwhile.
        """
        import requests

        # What is saved by its id instead has no name when it is loaded again.
        with engine_errors("saving the image"):
            chunks = self._client.api.get_image(str(reference))
            try:
                with tar.open("wb") as file:
                    file.writelines(chunks)
            except requests.RequestException:  # an OSError of the engine's side
                raise
            except OSError as error:
                raise UserError(
                    f"cannot write {tar.name}: {error.strerror}",
                    hint="make room there, or build without it: --no-export-image-tar",
                ) from error
            own = self._id(image_id)
            if own is None or self._id(str(reference)) != own:
                raise UserError(
                    f"another build has given the name {reference} to its image meanwhile",
                    hint="build again, one after the other",
                )

    def described(self, image_id: str, *, base: str | None) -> Image:
        """Return what the engine knows of an image; ``base`` is the name of its base image."""
        with engine_errors("inspecting the image"):
            image = self._client.images.get(image_id)
            return Image(
                id=str(image.id),
                digest=_digest(image.attrs),
                layers=_layers(image.history(), image.attrs["RootFS"].get("Layers") or []),
                base=None if base is None else self._base(base),
                builder=engine_name(self._client),
                content=EngineImage(str(image.id)),
            )

    def discard(self, image_ids: Iterable[str]) -> None:
        """Removes images of ours that have lost their name, and what only they were made of."""
        from docker.errors import DockerException

        for image_id in image_ids:
            # Housekeeping: that an image is gone already, or still in use, is no fault.
            with contextlib.suppress(DockerException, OSError):
                if not self._client.images.get(image_id).tags:
                    self._client.api.remove_image(image_id)

    def _id(self, name: str) -> str | None:
        from docker.errors import ImageNotFound

        try:
            return self._client.images.get(name).id
        except ImageNotFound:
            return None

    def _base(self, name: str) -> BaseInfo:
        from docker.errors import ImageNotFound

        try:
            image = self._client.images.get(name)
        except ImageNotFound:  # `scratch`, or a builder that keeps its base images to itself
            return BaseInfo(name, None, None)
        return BaseInfo(name, image.id, _digest(image.attrs))


# BuildKit's entries, which make a layer even if it is empty.
_MAKES_LAYER = re.compile("(RUN|COPY|ADD|WORKDIR) ")


def _layers(history: list[dict[str, Any]], digests: list[str]) -> tuple[LayerInfo, ...]:
    """Return the layers from the base's upwards, with their digests if they can be assigned.

    The engine's history, newest first, does not say which of its entries made a layer.
    """
    entries = [e for e in reversed(history) if e["Size"] or _MAKES_LAYER.match(e["CreatedBy"])]
    known: list[str | None] = list(digests)
    if len(entries) != len(digests):
        entries = [entry for entry in entries if entry["Size"]]
        known = [None] * len(entries)
    return tuple(
        LayerInfo(
            size=entry["Size"],
            created_by=one_line(entry["CreatedBy"] or entry.get("Comment") or ""),
            digest=digest,
        )
        for entry, digest in zip(entries, known, strict=True)
    )


def _digest(image: dict[str, Any]) -> str | None:
    digests = image.get("RepoDigests") or []
    return str(digests[0]).partition("@")[2] if digests else None
