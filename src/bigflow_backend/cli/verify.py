"""``bigflow build-image --verify``: the image of ``.image/``, built again and compared."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from bigflow_backend import pipeline
from bigflow_backend.cli.build import build_options
from bigflow_backend.cli.report import print_result
from bigflow_backend.compare.rebuilt import OldLayers, changed_layers, changed_members
from bigflow_backend.compare.side import local_image
from bigflow_backend.ground.directories import temporary_files_together
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.progress import print_progress, step
from bigflow_backend.image.imageinfo import ImageFiles, read_build
from bigflow_backend.image.reference import image_reference
from bigflow_backend.image.session import open_session

if TYPE_CHECKING:
    from bigflow_backend.cli.commands import Call
    from bigflow_backend.compare.rebuilt import FileChange
    from bigflow_backend.image.imageinfo import BuildDocument
    from bigflow_backend.pipeline import BuildOptions
    from bigflow_backend.project.project import Project

DIFFERENT = 3
"""The exit status if something differs."""
_SHOWN = 20
"""Files of a layer that are printed; ``--json`` has all."""
_OF_THE_IMAGE = (
    "builder", "platforms", "base_image", "compression", "tags", "export_tar", "oci_layout", "load",
    "push", "wheel", "dry_run", "config",
)  # fmt: skip
"""The options that have no sense here: imageinfo decides, and nothing is published."""
_SINGULAR = {"platforms": "platform", "tags": "tag", "export_tar": "export_image_tar"}
"""A setting -> its option, if that has another name."""


def verify(call: Call) -> int:
    """Build the image again as imageinfo describes it, and print what differs."""
    for name in _OF_THE_IMAGE:
        if vars(call.values).get(name):
            option = f"--{_SINGULAR.get(name, name).replace('_', '-')}"
            raise UserError(
                f"--verify builds what imageinfo describes, and publishes nothing: got {option}",
                hint="give --verify without it",
            )
    project = call.project()
    info = _info(project)
    base_digests = {
        str(one["platform"]): str(one["base"]["digest"])
        for one in info["platforms"] or [info]
        if one["base"] is not None and one["base"].get("digest")
    }
    repository, _, tag = info["tag"].rpartition(":")
    options = _options(build_options(project, call.values), info)
    with (
        temporary_files_together(),
        pipeline.rebuilt(project, options, image_reference(repository, tag), base_digests) as again,
    ):
        deadline = time.monotonic() + project.settings.image.timeout
        known = local_image(project.root / ImageFiles(project.version.text).info)
        with (
            step("comparing the images"),
            open_session(project.settings.image, print_progress) as session,
        ):
            old = OldLayers(
                () if known is None else known.places,
                session,
                root=project.root,
                deadline=deadline,
            )
            layers = list(changed_layers(info, again.image, again.session, old, deadline=deadline))
        name, wheel = info["wheel"]["name"], again.wheel
        members = changed_members(
            project.root / "dist" / name, again.files / wheel.path, info["wheel"]["sha256"]
        )
        found: dict[str, Any] = {
            "image": info["tag"],
            "same": (info["digest"], info["wheel"]["sha256"]) == (again.image.digest, wheel.sha256),
            "digest": {"old": info["digest"], "new": again.image.digest},
            "wheel": {"old": info["wheel"]["sha256"], "new": wheel.sha256, "files": members},
            "compression": {"old": info["compression"], "new": again.image.compression},
            "builder": {"old": info["builder"], "new": again.image.builder},
            "layers": layers,
        }
    print_result(call.values, found, _lines(found))
    return 0 if found["same"] else DIFFERENT


def _info(project: Project) -> BuildDocument:
    path = project.root / ImageFiles(project.version.text).info
    if not path.is_file():
        others = sorted(x.stem.partition("-")[2] for x in path.parent.glob("imageinfo-*.json"))
        has = f": .image/ has {', '.join(others)}" if others else ""
        raise UserError(
            f"no image of {project.version.text}, the version of this work tree, was built{has}",
            hint="check out the commit of the image, with its imageinfo in .image/",
        )
    info = read_build(path)
    if any(one["platform"] is None for one in info["platforms"] or [info]):
        raise UserError(f"{path} does not name its platform", hint="build that version again")
    if not info["builder"].startswith("layered") or info["digest"] is None:
        raise UserError(
            f"an engine has built {info['tag']}, and an engine gives each build another digest",
            hint="build it with the layered builder to verify it: --builder layered",
        )
    return info


def _options(options: BuildOptions, info: BuildDocument) -> BuildOptions:
    """Return the options with what imageinfo states of the image."""
    if options.image is None:
        raise ValueError("the options of an image have its settings")
    kind = (info["compression"] or "").partition(" ")[0]
    given: dict[str, Any] = {"compression": kind} if kind in {"gzip", "zstd"} else {}
    if info["base"] is not None and info["base"].get("name"):
        given["base_image"] = info["base"]["name"]
    every = [one["platform"] for one in info["platforms"] or [info]]
    given["platforms"] = tuple(filter(None, every))
    image = dataclasses.replace(
        options.image, builder="layered", tags=(), push=False, load=False, **given
    )
    return dataclasses.replace(options, image=image)


def _lines(found: dict[str, Any]) -> Iterator[str]:
    digest, wheel = found["digest"], found["wheel"]
    if found["same"]:
        yield f"same       {found['image']}@{digest['old']}"
        yield "           its wheel and its layers, built again from an empty cache"
        return
    yield f"different  {found['image']}"
    yield f"           built     {digest['old']}"
    yield f"           now       {digest['new']}"
    for name in ("builder", "compression"):
        if found[name]["old"] != found[name]["new"]:
            yield f"{name}: {found[name]['old']} -> {found[name]['new']}"
    if wheel["old"] != wheel["new"]:
        yield "wheel"
        yield from _file_lines(wheel["files"])
    for layer in found["layers"]:
        yield f"layer      {layer.created_by or layer.new or layer.old}  ({layer.platform})"
        if layer.new is None:
            yield "  it is not there any more"
        elif layer.old is None:
            yield "  it was not there"
        else:
            yield from _file_lines(layer.files)
    if not found["layers"]:
        yield "all layers have the same content: compression, labels or annotations differ"


def _file_lines(files: tuple[FileChange, ...] | None) -> Iterator[str]:
    if files is None:
        yield "  its files are not known: the first build is not here any more"
        return
    yield from (f"  {one.change} {one.name}" for one in files[:_SHOWN])
    if len(files) > _SHOWN:
        yield f"  and {len(files) - _SHOWN} more; --json has all"
