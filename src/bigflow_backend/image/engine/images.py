"""Tag, save, describe and remove images in an engine."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.text import one_line
from bigflow_backend.image.engine.client import engine_errors, engine_name
from bigflow_backend.image.image import BaseInfo, EngineImage, Image, LayerInfo

if TYPE_CHECKING:
    from docker import DockerClient

    from bigflow_backend.ground.transaction import Transaction
    from bigflow_backend.image.reference import ImageReference

_CHUNK = 2 << 20


class EngineImages:
    """The images in an engine. An image with another name, or in use, is never removed."""

    def __init__(self, client: DockerClient) -> None:
        self._client = client

    def tag(self, image_id: str, reference: ImageReference, transaction: Transaction) -> None:
        """Give the image its name. If the build fails later, the name goes back.

        After the build, the image that had the name before is removed.
        """
        from docker.errors import DockerException

        with engine_errors("tagging the image"):
            before, own = self._id(str(reference)), self._id(image_id)

        def restore() -> None:
            # If the engine has stopped, the user needs the first error, not this one.
            with contextlib.suppress(DockerException, OSError):
                if self._id(str(reference)) != own:
                    return  # another build has moved the name since
                if before is None:
                    self._client.api.remove_image(str(reference), noprune=True)
                else:
                    self._client.api.tag(before, reference.repository, reference.tag)

        # A signal can come after the engine has moved the name, and before it has answered.
        transaction.on_failure(restore)
        with engine_errors("tagging the image"):
            self._client.api.tag(image_id, reference.repository, reference.tag)
        if before is not None:
            transaction.after_commit(lambda: self.discard([before]))

    def save(self, image_id: str, references: Sequence[ImageReference], tar: Path) -> None:
        """Write the image with its names to ``tar``, as ``docker save`` does.

        :raises UserError: if another build has moved a name, or the file cannot be written.
        """
        import requests

        # Saved by its id, the image has no name when it is loaded again.
        with engine_errors("saving the image"):
            chunks = self._archive(references)
            try:
                with tar.open("wb") as file:
                    file.writelines(chunks)
            except requests.RequestException:  # an OSError of the connection, not of the file
                raise
            except OSError as error:
                raise UserError(
                    f"cannot write {tar.name}: {error.strerror}",
                    hint="free disk space, or build without the file: --no-export-image-tar",
                ) from error
            own = self._id(image_id)
            for name in references:
                if own is None or self._id(str(name)) != own:
                    raise UserError(
                        f"another build has given the name {name} to its own image",
                        hint="run one build at a time",
                    )

    def _archive(self, references: Sequence[ImageReference]) -> Iterator[bytes]:
        """Yield the archive of an image with these names. ``get_image`` of the SDK takes one."""
        import requests
        from docker.errors import create_api_error_from_http_exception

        api = self._client.api
        response = api.get(
            f"{api.base_url}/v{api.api_version}/images/get",
            params={"names": [str(name) for name in references]},
            stream=True,
            timeout=api.timeout,
        )
        with response:
            try:
                response.raise_for_status()
            except requests.HTTPError as error:
                raise create_api_error_from_http_exception(error) from error
            yield from response.iter_content(_CHUNK)

    def described(self, image_id: str, *, base: str | None, digests: Mapping[str, str]) -> Image:
        """Return what the engine knows of an image.

        ``base`` is the name of its base image; ``digests`` are those of pulled base images.
        """
        with engine_errors("inspecting the image"):
            image = self._client.images.get(image_id)
            return Image(
                id=str(image.id),
                digest=_digest(image.attrs),
                layers=_layers(image.history(), image.attrs["RootFS"].get("Layers") or []),
                base=None if base is None else self._base(base, digests),
                builder=engine_name(self._client),
                content=EngineImage(str(image.id)),
            )

    def discard(self, image_ids: Iterable[str]) -> None:
        """Remove those of our images that have no name."""
        from docker.errors import DockerException

        for image_id in image_ids:
            # An image that another build has removed, or uses, is not an error.
            with contextlib.suppress(DockerException, OSError):
                if not self._client.images.get(image_id).tags:
                    self._client.api.remove_image(image_id)

    def _id(self, name: str) -> str | None:
        from docker.errors import ImageNotFound

        try:
            return self._client.images.get(name).id
        except ImageNotFound:
            return None

    def _base(self, name: str, digests: Mapping[str, str]) -> BaseInfo:
        from docker.errors import ImageNotFound

        try:
            image = self._client.images.get(name)
        except ImageNotFound:  # `scratch`, or BuildKit pulled it into its own cache
            ends = (name, f"{name}:latest")
            return BaseInfo(
                name, None, next((d for n, d in digests.items() if n.endswith(ends)), None)
            )
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
