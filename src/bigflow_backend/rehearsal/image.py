"""The image of a build in ``.image/`` -> its name, and its files for a sandbox."""

from __future__ import annotations

import contextlib
import os
import platform
import posixpath
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from bigflow_backend.ground.deadline import DeadlineError
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import read_bounded
from bigflow_backend.ground.foreign.documents import DocumentError, read_json
from bigflow_backend.ground.limits import DOCUMENT, UNPACKED
from bigflow_backend.image.imageinfo import ImageFiles

if TYPE_CHECKING:
    from bigflow_backend.image.layered.rootfs import FileSystem
    from bigflow_backend.image.oci import SettingsDocument

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_LINKS_AT_MOST = 40
_UNPACK_SECONDS = 1800
"""The longest time to unpack an image: a slow disk takes some minutes for 20 GiB."""
_REBUILD = "build it again: bigflow build"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class _Info(TypedDict):
    tag: str
    id: str
    digest: str | None


@dataclass(frozen=True)
class BuiltImage:
    """The image of the last build."""

    tag: str
    """Its full name."""
    ids: frozenset[str]
    """The digests that an engine can name it by: of its configuration, and of its manifest."""
    names: frozenset[str]
    """The names that pods can give it: with the tag, and with the digest."""
    source: str | None
    """The file with its content, as the name of a base image; None if there is no file."""
    archive: Path | None
    """The file for ``docker load``."""


def built_image(root: Path, version: str) -> BuiltImage:
    """Return the image of this version of the project in ``root``.

    :raises UserError: if it was not built.
    """
    files = ImageFiles(version)
    info = root / files.info
    if not info.exists():
        raise UserError(
            f".image/ has no image of version {version}, which the DAG files name", hint=_REBUILD
        )
    try:
        document = read_json(read_bounded(info, DOCUMENT), _Info)
    except DocumentError as error:
        raise UserError(f"{info} {error}", hint=_REBUILD) from error
    tag, digest = document["tag"], document["digest"]
    names = {tag} | ({f"{tag.rpartition(':')[0]}@{digest}"} if digest else set())
    tar, layout = root / files.tar, root / files.layout
    source = (
        f"docker-archive:{tar}" if tar.exists() else f"oci:{layout}" if layout.is_dir() else None
    )
    ids = {document["id"]} | ({digest} if digest else set())
    return BuiltImage(tag, frozenset(ids), frozenset(names), source, tar if tar.exists() else None)


class UnpackedImage:
    """The files of an image in a directory of this machine. Nothing outside of it is touched.

    All files are executable and readable by every user; the image's owners and modes are lost.
    """

    def __init__(self, root: Path, settings: SettingsDocument) -> None:
        self.root = root
        self.settings = settings

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that the image sets."""
        pairs = (variable.partition("=") for variable in self.settings.get("Env") or [])
        return {name: value for name, _, value in pairs if name and "\0" not in value}

    def is_empty(self, path: str) -> bool:
        """Return whether the directory is empty. Its path must be one of :meth:`mount_point`."""
        return not any((self.root / path.lstrip("/")).iterdir())

    def resolved(self, path: str) -> str | None:
        """Return the path with the image's links followed; None if there are too many.

        Missing directories are kept.
        """
        todo = path.split("/")[::-1]
        found: list[str] = []
        links = 0
        while todo:
            part = todo.pop()
            here = self.root.joinpath(*found, part)
            if part == "..":
                found = found[:-1]
            elif part in {"", "."}:
                pass
            elif here.is_symlink():
                links += 1
                if links > _LINKS_AT_MOST:
                    return None
                target = str(here.readlink())
                found = [] if target.startswith("/") else found
                todo += target.split("/")[::-1]
            else:
                found.append(part)
        return "/" + "/".join(found)

    def mount_point(self, path: str, *, file: bool = False) -> str | None:
        """Make a directory or a file where something can be mounted; return its path.

        Return None if the path leads through a link: where it ends depends on the image.
        """
        *parents, name = posixpath.normpath(f"/{path}").strip("/").split("/")
        with contextlib.ExitStack() as stack:
            above = os.open(self.root, _DIRECTORY)
            stack.callback(os.close, above)
            try:
                for part in parents if file else [*parents, name]:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, 0o755, dir_fd=above)
                    above = os.open(part, _DIRECTORY, dir_fd=above)
                    stack.callback(os.close, above)
                if file:
                    flags = os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                    os.close(os.open(name, flags, 0o644, dir_fd=above))
            except OSError:
                return None
        return "/" + "/".join([*parents, name])


def unpack(image: BuiltImage, directory: Path) -> UnpackedImage:
    """Write the files of the image below ``directory``.

    :raises UserError: if it has no file in ``.image/``, or cannot be read.
    """
    from bigflow_backend.image.base.read import read_base
    from bigflow_backend.image.layered.rootfs import read_file_system
    from bigflow_backend.image.registry import Access, Registries
    from bigflow_backend.image.store.blobs import open_store

    if image.source is None:
        raise UserError(
            f".image/ has no file of {image.tag}, and a sandbox cannot run it without",
            hint="build it with the file: bigflow build --export-image-tar",
        )
    machine = platform.machine().lower()
    architecture = _ARCHITECTURES.get(machine, machine)
    contents, root = directory / "contents", directory / "root"
    contents.mkdir()
    root.mkdir(0o755)
    with open_store() as store, Registries(Access()) as registries:
        base = read_base(
            image.source,
            architecture=architecture,
            root=directory,
            store=store,
            registries=registries,
        )
        try:
            system = read_file_system(
                store,
                base,
                wanted=lambda _path: UNPACKED,
                directory=contents,
                deadline=time.monotonic() + _UNPACK_SECONDS,
                limit=UNPACKED,
            )
        except DeadlineError as error:
            raise UserError(
                f"{image.tag} is not unpacked after {_UNPACK_SECONDS} seconds",
                hint="set TMPDIR to a directory on a faster disk, or use --runtime docker",
            ) from error
    try:
        _lay_out(system, root)
    except OSError as error:
        raise UserError(
            f"cannot write the files of {image.tag}: {error.strerror}: {error.filename}",
            hint="set TMPDIR to a directory on another disk, or use --runtime docker",
        ) from error
    return UnpackedImage(root, base.config.get("config") or {})


def _lay_out(system: FileSystem, root: Path) -> None:
    """Move the contents into place.

    The tree has real directories only, so no path here leads through a link of the image.
    """
    from bigflow_backend.image.layered.rootfs import Node

    placed: dict[Path, Path] = {}
    todo = [(root, system.root)]
    while todo:
        above, directory = todo.pop()
        for name, node in directory.items():
            path = above / name
            if not isinstance(node, Node):
                path.mkdir(0o755)
                todo.append((path, node))
            elif node.target is not None:
                path.symlink_to(node.target)
            elif node.content is None:
                path.touch()
            elif node.content in placed:  # a hard link
                os.link(placed[node.content], path)
            else:
                node.content.rename(path)
                path.chmod(0o755)
                placed[node.content] = path
