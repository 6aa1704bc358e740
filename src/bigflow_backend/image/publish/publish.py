"""Bring a built image to the places that the settings name: files, engine, registry."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bigflow_backend.image.base.read import fetch_layers
from bigflow_backend.image.engine.images import EngineImages
from bigflow_backend.image.image import EngineImage, Image, PublishedImage, StoredImage
from bigflow_backend.image.imageinfo import ImageFiles
from bigflow_backend.image.publish.archive import save_archive
from bigflow_backend.image.publish.engine import load_image, push_from_engine
from bigflow_backend.image.publish.layout import save_layout
from bigflow_backend.image.registry import push_image

if TYPE_CHECKING:
    from bigflow_backend.image.image import BuildRequest


def publish(request: BuildRequest, image: Image) -> PublishedImage:
    """Write the files, load the image, and push it. The tags move last.

    :raises UserError: if one of the places refuses the image. The name in the engine goes back to
        the image that had it before.
    """
    files = ImageFiles(request.project.version.text)
    (request.transaction.outputs.root / files.info).parent.mkdir(parents=True, exist_ok=True)
    if isinstance(image.content, StoredImage):
        _publish_stored(request, image.content, files)
        digest = image.digest
    else:
        digest = _publish_in_engine(request, image, image.content, files)
    settings = request.settings
    return PublishedImage(
        tag=str(request.reference),
        id=image.id,
        digest=digest,
        version=request.project.version.text,
        size=image.size,
        tar=files.tar if settings.export_tar else None,
        layout=files.layout if settings.oci_layout else None,
        in_engine=settings.load or isinstance(image.content, EngineImage),
        pushed=settings.push,
        info=files.info,
        builder=image.builder,
        seconds=time.perf_counter() - request.started,
    )


def _publish_stored(request: BuildRequest, content: StoredImage, files: ImageFiles) -> None:
    settings, reference, root = (
        request.settings,
        request.reference,
        request.transaction.outputs.root,
    )
    store, registries = request.session.store, request.session.registries
    if settings.export_tar or settings.oci_layout or settings.load:
        fetch_layers(content.base, store=store, registries=registries, say=request.say)
    if settings.export_tar:
        save_archive(store, content, reference, root / files.tar)
    if settings.oci_layout:
        save_layout(store, content, reference, root / files.layout)
    if settings.load:
        image_id = load_image(request, content)
        EngineImages(request.session.engine).tag(image_id, reference, request.transaction)
    if settings.push:
        pushed = push_image(
            content.manifest,
            str(reference),
            store=store,
            registries=registries,
            base=content.base,
            say=request.say,
        )
        request.say(f"pushed {pushed.name}, {pushed.sent} bytes sent")


def _publish_in_engine(
    request: BuildRequest, image: Image, content: EngineImage, files: ImageFiles
) -> str | None:
    images = EngineImages(request.session.engine)
    # `docker save` and `docker push` take an image by its name.
    images.tag(content.id, request.reference, request.transaction)
    if request.settings.export_tar:
        tar = request.transaction.outputs.root / files.tar
        images.save(content.id, request.reference, tar)
    if request.settings.push:
        return push_from_engine(request) or image.digest
    return image.digest
