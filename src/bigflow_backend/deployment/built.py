"""``.dags/`` and ``.image/`` -> the checked parts of a build. Nothing is built here."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.dags.manifest import NAME, DagEntry, Manifest, read_manifest
from bigflow_backend.dags.retired import retired_text
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import Outputs, read_bounded
from bigflow_backend.ground.foreign.documents import parse_json, typed
from bigflow_backend.ground.foreign.text import quoted
from bigflow_backend.ground.limits import MANIFEST
from bigflow_backend.image.imageinfo import ImageFiles, read_imageinfo
from bigflow_backend.image.oci import is_digest

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project

_BUILD = "build all parts together: bigflow build"


@dataclass(frozen=True, kw_only=True)
class BuiltImage:
    """The image of a build, and the files that have it."""

    name: str
    """``repository:tag``"""
    names: tuple[str, ...]
    """All names that it gets. The first one is ``name``."""
    version: str
    digest: str | None
    """Of its manifest; None if a push decides it."""
    base: str | None
    """The name of its base image."""
    archive: Path | None
    layout: Path | None


@dataclass(frozen=True, kw_only=True)
class Built:
    """The parts of a build that a deployment takes."""

    manifest: Manifest
    """Its DAGs name the image of this build as the build wrote it."""
    texts: Mapping[str, str]


def read_built(project: Project, directory: Path | None = None) -> Built:
    """Return the DAG files of the last build.

    :raises UserError: if a file is missing, or is not the one that the build wrote.
    """
    directory = directory or Outputs(project.root).dags
    if not (directory / NAME).is_file():
        raise UserError(f"{directory} has no {NAME}: no DAGs have been built", hint=_BUILD)
    manifest = read_manifest(directory / NAME)
    if manifest.package not in project.packages:
        raise UserError(
            f"{directory / NAME} is of the package {quoted(manifest.package)}, and this project has"
            f" {project.package}",
            hint=_BUILD,
        )
    texts = {}
    for name, digest in _digests(directory / NAME).items():
        content = read_bounded(directory / name, MANIFEST) if (directory / name).exists() else None
        if content is None or hashlib.sha256(content).hexdigest() != digest:
            state = "is missing" if content is None else "has been changed since the build"
            raise UserError(f"{directory / name} {state}", hint="build again: bigflow build-dags")
        texts[name] = content.decode()
    return Built(manifest=manifest, texts=texts)


def _digests(path: Path) -> dict[str, str]:
    document = parse_json(read_bounded(path, MANIFEST), limit=MANIFEST)
    dags = typed(document, dict[str, Any])["dags"]
    return {dag["file"]: str(dag.get("sha256")) for dag in dags}


def read_image(project: Project, version: str, archive: Path | None = None) -> BuiltImage:
    """Return the image that a build of that version has made.

    ``archive`` is another place of its tar archive.

    :raises UserError: if ``.image/`` does not describe one.
    """
    files = ImageFiles(version)
    path = project.root / files.info
    if not path.is_file():
        raise UserError(f"{path} is missing: no image of {version} has been built", hint=_BUILD)
    info = read_imageinfo(path)
    name, digest = info["tag"], info["digest"]
    if digest is not None and not is_digest(digest):
        raise UserError(f"{path}: the digest {quoted(digest)!r} is not valid", hint=_BUILD)
    tar, layout = project.root / files.tar, project.root / files.layout
    return BuiltImage(
        name=name,
        names=tuple(dict.fromkeys((name, *info.get("tags", ())))),
        version=version,
        digest=digest,
        base=(info["base"] or {}).get("name"),
        archive=archive or (tar if tar.is_file() else None),
        layout=layout if layout.is_dir() else None,
    )


def built_name(manifest: Manifest) -> tuple[str, str | None]:
    """Return the name of the image in DAG files, ``repository:tag``, and its digest."""
    name, _, digest = manifest.image.partition("@")
    return name, digest or None


def with_image(manifest: Manifest, old: str, new: str) -> Manifest:
    """Return the manifest whose DAGs name the image ``new`` instead of ``old``.

    Other images, such as those of retired DAGs, stay as they are.

    :raises UserError: if a file does not have the name.
    """
    return replace(
        manifest,
        image=new,
        dags=tuple(
            _with_image(dag, old, new) if dag.image == old and dag.retired is None else dag
            for dag in manifest.dags
        ),
    )


def _with_image(dag: DagEntry, old: str, new: str) -> DagEntry:
    # A longer tag may begin with this one.
    source, count = re.subn(rf"(?<![\w./-]){re.escape(old)}(?![\w.@-])", lambda _: new, dag.source)
    if not count:
        raise UserError(
            f"{dag.file} does not have the name of its image, {old}",
            hint="write dag.image into the template of the DAGs as it is, and build again",
        )
    return replace(dag, image=new, source=source)


def texts_of(manifest: Manifest) -> dict[str, str]:
    """Return the content of each file."""
    return {d.file: d.source if d.retired is None else retired_text(d) for d in manifest.dags}
