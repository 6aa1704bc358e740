"""Wheel -> Image, by layers over a base image: without an engine, a daemon or special rights.

The result has the files, environment, user, labels and command of the standard Dockerfile. Its
digest depends on the base, the wheel, the versions of the dependencies, uv and the compiler.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from bigflow_backend.ground.directories import reported_full_disk
from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.base.read import fetch_layers, is_file_name, read_base
from bigflow_backend.image.dockerfile import build_args
from bigflow_backend.image.image import BaseInfo, BuildRequest, Image, ImageIndex, LayerInfo
from bigflow_backend.image.layered.base_layer import base_system
from bigflow_backend.image.layered.compression import find_compression
from bigflow_backend.image.layered.dependencies.resolver import Resolver
from bigflow_backend.image.layered.dependency_layers import dependency_layers
from bigflow_backend.image.layered.layers import project_layers
from bigflow_backend.image.layered.manifest import assemble, index_of
from bigflow_backend.image.materials.packages import Materials
from bigflow_backend.image.platforms import (
    check_wheel,
    image_platforms,
    machine_platform,
    main_platform,
)
from bigflow_backend.image.reference import remote_name, without_credentials
from bigflow_backend.image.requires_python import check_python, required_python
from bigflow_backend.image.standard import (
    CannotServeError,
    NoBaseError,
    NoWheelError,
    standard_dockerfile,
)

if TYPE_CHECKING:
    from pathlib import Path

    from bigflow_backend.image import oci
    from bigflow_backend.image.layered.base_layer import BaseSystem
    from bigflow_backend.image.layered.dependency_layers import Dependencies
    from bigflow_backend.image.registry import Registries
    from bigflow_backend.image.store.blobs import BlobStore
    from bigflow_backend.image.store.compressors import Compression

_LABEL = "org.opencontainers.image."
_LABELS = ("VERSION", "REVISION", "SOURCE", "CREATED")
# Docker takes 127, and each of them costs a start of a pod some time.
_LAYERS = 60
# The user, the resources and the code.
_OTHER_LAYERS = 3


@dataclass(frozen=True)
class Parts:
    """The parts of a session that the builder uses for a base image."""

    store: BlobStore
    registries: Registries
    compression: Callable[[], Compression]
    """Of the layers over the base. It may ask the engine."""
    deadline: float
    """A time of :func:`time.monotonic`."""
    say: Callable[[str], None]


def build_image(request: BuildRequest) -> Image:
    """Make the layers that the store does not have yet, and put the image together.

    For several platforms, it is the image of this machine's platform, with the index of all.

    :raises CannotServeError: if only an engine can build this image.
    :raises UserError: for everything else that the user can fix.
    """
    with reported_full_disk():
        return _make(request)


def _make(request: BuildRequest) -> Image:
    session = request.session
    parts = Parts(
        store=session.store,
        registries=session.registries,
        compression=lambda: find_compression(request.settings, lambda: session.engine_name),
        deadline=time.monotonic() + request.settings.timeout,
        say=request.say,
    )
    dockerfile = standard_dockerfile(request.project)
    arguments = build_args(request.project, request.settings, dockerfile)
    name = dockerfile.base_image(arguments)
    platforms = image_platforms(request.settings)
    # An error of one platform comes before the work for another.
    for platform in platforms:
        check_wheel(request.wheel_file, platform)
    bases: dict[str, oci.BaseImage] = {}
    for platform in platforms:
        with _named(platform, several=len(platforms) > 1):
            bases[platform] = find_base(
                name,
                platform,
                parts,
                root=request.project.root,
                digest=request.base_digests.get(platform),
            )
    images: dict[str, Image] = {}
    native: BaseSystem | None = None
    # This machine's platform comes first: its Python compiles for the others.
    for platform in dict.fromkeys((main_platform(request.settings), *platforms)):
        if len(platforms) > 1:
            request.say(f"building for {platform}")
        with _named(platform, several=len(platforms) > 1):
            required = required_python(request.wheel_file)
            system = prepared_base(bases[platform], parts, required=required, native=native)
            request.say(system.compiler_note)
            for missing in system.packages.missing:
                request.say(f"the bill of materials lacks {missing} of the base image")
            images[platform] = _image(request, bases[platform], system, arguments)
        native = native or system
    first = next(iter(images.values()))
    if len(images) == 1:
        return first
    index = index_of(request.session.store, images)
    every = tuple(images[platform] for platform in platforms)
    return dataclasses.replace(first, digest=index.digest, index=ImageIndex(index, every))


@contextlib.contextmanager
def _named(platform: str, *, several: bool) -> Iterator[None]:
    """Name the platform in an error, if there are several. No engine builds several."""
    try:
        yield
    except UserError as error:
        if not several:
            raise
        hint, one = error.hint, f"or build for one platform: --platform {machine_platform()}"
        if isinstance(error, NoWheelError):
            hint = f"add a directory with its wheel to find-links, {one}"
        elif isinstance(error, CannotServeError) and not isinstance(error, NoBaseError):
            hint = f"use another base image, {one}"
        raise UserError(f"for {platform}: {error.message}", hint=hint) from error


def prepared_base(
    base: oci.BaseImage, parts: Parts, *, required: str | None, native: BaseSystem | None = None
) -> BaseSystem:
    """Return the facts about a base image, and the layer over it, which the store has afterwards.

    :param required: the ``Requires-Python`` of the project.
    :param native: the base for this machine, if ``base`` is for another one.

    :raises UserError: if the base's Python does not fit, or is not supported.
    """
    name = without_credentials(base.reference)
    return base_system(
        parts.store,
        base,
        fetch_layers=lambda: fetch_layers(
            base, store=parts.store, registries=parts.registries, say=parts.say
        ),
        check=lambda found: check_python(required, found.version, name),
        deadline=parts.deadline,
        compression=parts.compression(),
        native=native,
    )


def _image(
    request: BuildRequest,
    base: oci.BaseImage,
    system: BaseSystem,
    arguments: Mapping[str, str],
) -> Image:
    store = request.session.store
    dependencies = dependency_layers(
        store,
        system,
        _resolver(request, system),
        at_most=max(4, _LAYERS - len(base.layers) - _OTHER_LAYERS),
    )
    _check_bigflow(system, dependencies)
    wheel = project_layers(
        store,
        system,
        request.wheel,
        path=request.wheel_file,
        package=request.project.package,
    )
    own = (system.layer, *dependencies.layers, *wheel)
    labels = {f"{_LABEL}{name.lower()}": arguments.get(name, "") for name in _LABELS}
    stored = assemble(
        store,
        base,
        [layer.layer for layer in own],
        labels=labels,
        created=arguments["CREATED"],
        annotations={
            **{name: value for name, value in labels.items() if value},
            **_base_annotations(base),
        },
    )
    sizes = (*system.layer_sizes, *(layer.size for layer in own))
    return Image(
        id=stored.config.digest,
        digest=stored.manifest.digest,
        layers=tuple(
            LayerInfo(size=size, created_by=layer.created_by, digest=layer.diff_id)
            for size, layer in zip(sizes, stored.layers, strict=True)
        ),
        base=BaseInfo(base.reference, None, base.digest),
        builder=f"layered builder of bigflow-backend {version('bigflow-backend')}",
        content=stored,
        dependencies=dependencies.versions,
        compression=system.compression.description,
        materials=Materials(system.interpreter.installed, system.packages, dependencies.hashes),
        platform=f"{base.os}/{base.architecture}",
    )


def _base_annotations(base: oci.BaseImage) -> dict[str, str]:
    """Return the annotations about a base of a registry; a path of this machine is not public.

    https://github.com/opencontainers/image-spec/blob/main/annotations.md
    """
    if base.repository is None:
        return {}
    name = str(remote_name(base.reference))
    return {f"{_LABEL}base.name": name, f"{_LABEL}base.digest": base.digest}


def find_base(
    name: str | None, platform: str, parts: Parts, *, root: Path, digest: str | None = None
) -> oci.BaseImage:
    """Return the base image for the platform, whose layers need not be in the store yet.

    :param digest: that of its manifest, also if the tag has moved.

    :raises NoBaseError: if its registry does not give it; an engine may have it.
    :raises CannotServeError: if only an engine can build on it.
    """
    if not name:
        raise UserError(
            "no base image is set: ARG BASE_IMAGE in the Dockerfile has no value",
            hint="write a value there, or use the option: --base-image python:3.12-slim-bookworm",
        )
    is_moving = digest is not None and not is_file_name(name) and "@" not in name
    try:
        base = read_base(
            f"{name}@{digest}" if is_moving else name,
            architecture=platform.removeprefix("linux/"),
            root=root,
            store=parts.store,
            registries=parts.registries,
            deadline=parts.deadline,
        )
    except UserError as error:
        if is_file_name(name):
            raise
        # The user knows the image by the given name; the registry's message may have another.
        message = error.message
        if name not in message:
            message = f"cannot get the base image {without_credentials(name)}: {message}"
        raise NoBaseError(message, hint=error.hint) from error
    if is_moving:
        base = dataclasses.replace(base, reference=name)
    if (base.config.get("config") or {}).get("OnBuild"):
        raise CannotServeError(f"the base image {base.reference} has ONBUILD instructions")
    return base


def _resolver(request: BuildRequest, system: BaseSystem) -> Resolver:
    root = request.project.root
    directories = tuple(root / directory for directory in request.settings.find_links)
    for directory in directories:
        if not directory.is_dir():
            raise UserError(
                f"find-links: {directory} is not a directory",
                hint="write the path of a directory with wheels",
            )
    return Resolver(
        requirements=request.requirements,
        interpreter=system.interpreter,
        find_links=directories,
        project=root,
        timeout=request.settings.timeout,
        say=request.say,
    )


def _check_bigflow(system: BaseSystem, dependencies: Dependencies) -> None:
    if not dependencies.has_bigflow and "bigflow-backend" not in system.interpreter.installed:
        raise UserError(
            "the image has no bigflow: `python -m bigflow` does not run in it",
            hint="add a line to resources/requirements.txt: bigflow-backend",
        )
