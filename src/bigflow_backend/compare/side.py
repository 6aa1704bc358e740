"""A version, a path or the name of an image -> what is known of it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.compare.content import (
    ImageFacts,
    Installed,
    facts_of_image,
    facts_of_info,
    installed,
)
from bigflow_backend.compare.history import known_image, known_manifest
from bigflow_backend.dags.manifest import NAME, read_manifest
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.files import Outputs
from bigflow_backend.image.base.read import is_file_name, read_base
from bigflow_backend.image.imageinfo import ImageFiles, read_imageinfo
from bigflow_backend.image.reference import image_reference
from bigflow_backend.project.project import project_root
from bigflow_backend.version import git
from bigflow_backend.version.model import ProjectVersion
from bigflow_backend.version.repository import OutsideGitError, find_checkout, tag_names
from bigflow_backend.version.scheme import parse, tagged

if TYPE_CHECKING:
    from bigflow_backend.dags.manifest import DagEntry, Manifest
    from bigflow_backend.image.imageinfo import InfoDocument
    from bigflow_backend.image.oci import BaseImage
    from bigflow_backend.image.session import Session
    from bigflow_backend.project.project import Project

_LIKE_A_PATH = ("./", "../", "/", "~")
_FILES = (".tar", ".tar.gz", ".tgz", ".tar.zst", ".json")


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of two images or versions that are compared."""

    given: str
    """The text of the user."""
    version: str | None = None
    commit: str | None = None
    image: ImageFacts | None = None
    dags: Mapping[str, DagEntry] | None = None
    """The DAGs that are not retired, by their workflows; None if no manifest has them."""
    missing: tuple[str, ...] = ()
    """The reasons why the image is not known."""


class Reader:
    """Reads the sides of one comparison."""

    def __init__(
        self,
        session: Session,
        *,
        architecture: str,
        deadline: float,
        project: Callable[[], Project],
        repository: Callable[[Project], str],
    ) -> None:
        """Take what only some sides need as functions.

        ``project`` returns the project of this directory, and ``repository`` the value of its
        ``docker_repository``.
        """
        self._session = session
        self._architecture = architecture
        self._deadline = deadline
        self._find_project = project
        self._repository_of = repository

    def side(self, text: str) -> Side:
        """Return what is known of ``text``.

        :raises UserError: if it is neither a version, a path nor an image that can be read.
        """
        path = Path(text).expanduser()
        if is_file_name(text):
            return self._of_image(text, self.image(text))
        if path.exists():
            return self._of_directory(text, path) if path.is_dir() else self._of_file(text, path)
        if text.startswith(_LIKE_A_PATH) or text.endswith(_FILES):
            raise UserError(
                f"{text} does not exist",
                hint="give a version, an archive, an OCI layout, a manifest.json, an imageinfo,"
                " or an image of a registry",
            )
        if (version := parse(text)) is not None:
            return self._of_version(text, str(version))
        try:
            return self._of_image(text, self.image(text))
        except UserError:
            if (built := self._built_here(text)) is not None:
                return built
            raise

    def image(self, name: str) -> BaseImage:
        """Return the image of a name that :func:`read_base` knows.

        :raises UserError: if it cannot be read.
        """
        try:
            return read_base(
                name,
                architecture=self._architecture,
                root=Path.cwd(),
                store=self._session.store,
                registries=self._session.registries,
                deadline=self._deadline,
            )
        except UserError as error:
            message = error.message.replace("the base image", "the image")
            hint = error.hint.replace("name another base image, or build for", "add --platform for")
            raise UserError(message, hint=hint) from error

    def installed(self, facts: ImageFacts, shared: Collection[str]) -> Installed:
        """Return the distributions in the layers of an image that are not ``shared``.

        :raises UserError: if neither this machine nor a registry has the layers.
        """
        image = facts.content
        if image is None and not facts.places:
            raise UserError(
                f"the layers of {facts.name} are neither here nor in a registry",
                hint="give the archive of the image, or push the image and try again",
            )
        return installed(
            image or self.image(facts.places[0]), shared, self._session, deadline=self._deadline
        )

    def _of_image(self, text: str, image: BaseImage) -> Side:
        labels = (image.config.get("config") or {}).get("Labels") or {}
        facts = facts_of_image(image, text)
        version = labels.get("org.opencontainers.image.version")
        return Side(given=text, version=version or None, commit=facts.commit, image=facts)

    def _built_here(self, name: str) -> Side | None:
        """Return the version that this project has built under the name of an image."""
        if project_root(Path.cwd()) is None:
            return None
        tag = name.rpartition(":")[2]
        for version in (tag, tag.replace("-", "+", 1).replace("_", "!", 1)):
            image = self._known_image(version) if parse(version) is not None else None
            if image is not None and image.name == name:
                return self._of_version(name, version)
        return None

    def _known_image(self, version: str) -> ImageFacts | None:
        """Return the image of a version in .image/ or in the history."""
        root = self._project.root
        image = local_image(root / ImageFiles(version).info)
        if image is None and (info := known_image(self._session.store, root, version)) is not None:
            image = facts_of_info(info, _pushed(info))
        return image

    def _of_file(self, text: str, path: Path) -> Side:
        if path.suffix == ".json" and path.name.startswith("imageinfo-"):
            return self._of_info(text, path)
        if path.suffix == ".json":
            return self._of_manifest(text, read_manifest(path), path.parent)
        try:
            return self._of_image(text, self.image(f"docker-archive:{path}"))
        except UserError as error:
            with contextlib.suppress(UserError):
                return self._of_image(text, self.image(f"oci-archive:{path}"))
            hint = "give a tar of `docker save` or an OCI layout, an imageinfo or a manifest.json"
            raise UserError(error.message, hint=hint) from error

    def _of_directory(self, text: str, path: Path) -> Side:
        if (path / "index.json").is_file():
            return self._of_image(text, self.image(f"oci:{path}"))
        manifests = [place for place in (path, Outputs(path).dags) if (place / NAME).is_file()]
        infos = sorted({*path.glob("imageinfo-*.json"), *path.glob(".image/imageinfo-*.json")})
        if manifests:
            return self._of_manifest(text, read_manifest(manifests[0]), manifests[0])
        if len(infos) == 1:
            return self._of_info(text, infos[0])
        found = "several imageinfo files" if infos else "no image and no DAGs"
        raise UserError(
            f"{text} has {found}",
            hint="give an OCI layout, a directory with a manifest.json, or one imageinfo file",
        )

    def _of_info(self, text: str, path: Path) -> Side:
        info = read_imageinfo(path)
        return Side(
            given=text,
            version=info["version"],
            commit=info["commit"],
            image=local_image(path),
        )

    def _of_manifest(self, text: str, manifest: Manifest, directory: Path) -> Side:
        side = Side(
            given=text,
            version=manifest.version,
            commit=manifest.commit,
            dags={dag.workflow: dag for dag in manifest.dags if dag.retired is None},
        )
        info = directory.parent / ImageFiles(manifest.version).info
        return self._with_image(side, local_image(info), manifest.image)

    def _of_version(self, text: str, version: str) -> Side:
        """Return what the outputs of the project, its history or the registry have of a version."""
        image = self._known_image(version)
        dags = self._dags_of(version)
        side = Side(
            given=text,
            version=version,
            commit=image.commit if image is not None else _commit_of(self._project, version),
            dags={dag.workflow: dag for dag in dags} if dags else None,
        )
        if dags and dags[0].commit is not None:
            side = dataclasses.replace(side, commit=dags[0].commit)
        return self._with_image(side, image, dags[0].image if dags else None)

    def _dags_of(self, version: str) -> list[DagEntry]:
        """Return the DAGs of a version, in .dags/ or in the history."""
        root, directory = self._project.root, Outputs(self._project.root).dags
        places = [
            read_manifest(directory) if (directory / NAME).is_file() else None,
            known_manifest(self._session.store, root, version),
        ]
        for manifest in filter(None, places):
            found = [dag for dag in manifest.dags if dag.version == version]
            if found:
                return found
        return []

    def _with_image(self, side: Side, local: ImageFacts | None, name: str | None) -> Side:
        """Return the side with the image: that of this machine, or else of the registry."""
        if local is not None:
            return dataclasses.replace(side, image=local)
        try:
            name = name or self._name_of(str(side.version))
            found = self._of_image(name, self.image(name))
        except UserError as error:
            if side.dags is None and side.commit is None:
                raise UserError(
                    f"the version {side.given} is neither in .image/, .dags/ and the cache nor in"
                    f" the registry: {error.message}",
                    hint=f"{error.hint}; or give the path of its archive or imageinfo",
                ) from error
            why = f"the image of {side.given}: {error.message}"
            return dataclasses.replace(side, missing=(why,))
        return dataclasses.replace(side, image=found.image, commit=side.commit or found.commit)

    def _name_of(self, version: str) -> str:
        tag = ProjectVersion(version, "the command line", None).image_tag
        return str(image_reference(self._repository_of(self._project), tag))

    @cached_property
    def _project(self) -> Project:
        return self._find_project()


def _commit_of(project: Project, version: str) -> str | None:
    """Return the commit of a version's tag in the git repository."""
    try:
        checkout = find_checkout(project.root)
    except OutsideGitError:
        return None
    prefix = project.settings.version.tag_prefix
    for name in tag_names(checkout.top):
        if (found := tagged(name, prefix)) is not None and str(found) == version:
            result = git.query(
                checkout.top, "rev-parse", "--verify", f"refs/tags/{name}^{{commit}}"
            )
            return result.lines[0] if result.status == 0 else None
    return None


def local_image(path: Path) -> ImageFacts | None:
    """Return the image of an imageinfo document; None if the file does not exist.

    :raises UserError: if it is not valid.
    """
    if not path.is_file():
        return None
    info, files, root = read_imageinfo(path), ImageFiles(path.stem.partition("-")[2]), path.parent
    places = []
    if (root / files.tar.name).is_file():
        places.append(f"docker-archive:{root / files.tar.name}")
    if (root / files.layout.name).is_dir():
        places.append(f"oci:{root / files.layout.name}")
    return facts_of_info(info, (*places, *_pushed(info)))


def _pushed(info: InfoDocument) -> tuple[str, ...]:
    """Return the name of an image in its registry, if it was pushed."""
    name = f"{info['tag']}@{info['digest']}" if info["digest"] else info["tag"]
    return (name,) if info["pushed"] else ()
