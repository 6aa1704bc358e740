"""Bring a built image to the places that the settings name: files, engine, registry."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

from bigflow_backend.image.base.read import fetch_layers
from bigflow_backend.image.engine.images import EngineImages
from bigflow_backend.image.image import EngineImage, Image, PublishedImage, StoredImages
from bigflow_backend.image.imageinfo import ImageFiles
from bigflow_backend.image.publish.archive import save_archive
from bigflow_backend.image.publish.engine import load_image, push_from_engine
from bigflow_backend.image.publish.layout import save_layout
from bigflow_backend.image.registry import push_image

if TYPE_CHECKING:
    from bigflow_backend.image.image import BuildRequest


def place(request: BuildRequest, image: Image) -> PublishedImage:
    """Write the files and load the image, as the settings say. Nothing leaves this machine.

    :raises UserError: if a file cannot be written, or the engine refuses the image. The name in the
        engine goes back to the image that had it before.
    """
    files = ImageFiles(request.project.version.text)
    (request.transaction.outputs.root / files.info).parent.mkdir(parents=True, exist_ok=True)
    if image.stored is not None:
        _place_stored(request, image.stored, files)
    if isinstance(image.content, EngineImage):
        _place_in_engine(request, image.content, files)
    settings = request.settings
    return PublishedImage(
        tag=str(request.reference),
        tags=tuple(map(str, request.references)),
        id=image.id,
        digest=image.digest,
        version=request.project.version.text,
        size=image.size,
        tar=files.tar if settings.export_tar else None,
        layout=files.layout if settings.oci_layout else None,
        in_engine=settings.load or isinstance(image.content, EngineImage),
        pushed=False,
        platforms=tuple(i.platform for i in image.variants if i.platform is not None),
        info=files.info,
        builder=image.builder,
        seconds=time.perf_counter() - request.started,
    )


def push(request: BuildRequest, image: Image, placed: PublishedImage) -> PublishedImage:
    """Push the image. Its tags in the registry move last; the first one is that of the version.

    :raises UserError: if the registry or the engine refuses.
    """
    if (stored := image.stored) is not None:
        for name in request.references:
            pushed = push_image(
                stored.top,
                str(name),
                store=request.session.store,
                registries=request.session.registries,
                bases=[content.base for content in stored.each],
                say=request.say,
            )
            request.say(f"pushed {pushed.name}, {pushed.sent} bytes sent")
        digest: str | None = stored.top.digest
    else:
        digest = push_from_engine(request) or image.digest
    seconds = time.perf_counter() - request.started
    return dataclasses.replace(placed, pushed=True, digest=digest, seconds=seconds)


def _place_stored(request: BuildRequest, images: StoredImages, files: ImageFiles) -> None:
    settings, names = request.settings, request.references
    root, store = request.transaction.outputs.root, request.session.store
    registries = request.session.registries
    first = images.each[0]
    if settings.export_tar or settings.oci_layout:
        for content in images.each:
            fetch_layers(content.base, store=store, registries=registries, say=request.say)
    if settings.export_tar:
        save_archive(store, images, names, root / files.tar)
    if settings.oci_layout:
        save_layout(store, images, names, root / files.layout)
    if settings.load:
        fetch_layers(first.base, store=store, registries=registries, say=request.say)
        image_id = load_image(request, first)
        _name_in_engine(request, image_id)


def _place_in_engine(request: BuildRequest, content: EngineImage, files: ImageFiles) -> None:
    # `docker save` and `docker push` need the names of an image.
    images = _name_in_engine(request, content.id)
    if request.settings.export_tar:
        tar = request.transaction.outputs.root / files.tar
        images.save(content.id, request.references, tar)


def _name_in_engine(request: BuildRequest, image_id: str) -> EngineImages:
    images = EngineImages(request.session.engine)
    for name in request.references:
        images.tag(image_id, name, request.transaction)
    return images
