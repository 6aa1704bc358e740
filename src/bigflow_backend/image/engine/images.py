"""The images in an engine: naming, saving, describing and clearing away our own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.text import one_line
from bigflow_backend.image.engine.client import engine_faults
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

        with engine_faults("tagging the image"):
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
        with engine_faults("saving the image"):
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

    def described(self, image_id: str, *, base: str | None, step_images: set[str]) -> Image:
        """What the engine knows of an image; ``base`` is the name of the one it started from."""
        with engine_faults("telling what the image is"):
            image = self._client.images.get(image_id)
            version = self._client.version()
            kind = (version.get("Components") or [{}])[0].get("Name", "Engine")
            return Image(
                id=str(image.id),
                digest=_digest(image.attrs),
                layers=_layers(image.history(), image.attrs["RootFS"].get("Layers") or []),
                base=None if base is None else self._base(base),
                builder=f"{'Docker Engine' if kind == 'Engine' else kind} {version['Version']}",
                leftovers=tuple(sorted(self.dangling(step_images))),
                content=EngineImage(str(image.id)),
            )

    def dangling(self, short_ids: Iterable[str]) -> set[str]:
        """Those of the images that have neither a name nor a child."""
        wanted = {short_id[:12] for short_id in short_ids}
        found = self._client.api.images(quiet=True, filters={"dangling": True})
        return {str(i) for i in found if i.removeprefix("sha256:")[:12] in wanted}

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


def _layers(history: list[dict[str, Any]], digests: list[str]) -> tuple[LayerInfo, ...]:
    """The layers from the base's upwards, as far as the engine tells.

    Its history, newest first, does not say which of its entries made a layer.
    """
    entries = [entry for entry in reversed(history) if entry["Size"]]
    known: list[str | None] = list(digests)
    if len(entries) != len(digests):  # there are empty layers, too
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
