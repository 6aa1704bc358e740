"""A DAGs folder that is a tag in a registry: Airflow's DAG bundle reads what the tag names.

Each deployment is an artifact with a tag of its own. It is live when the moving tag names it, which
is one request. So nothing is half-way after a failure.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, TypedDict

from bigflow_backend.deployment.artifact import record_of, store_artifact
from bigflow_backend.deployment.folder import REGISTRY, STATE
from bigflow_backend.deployment.record import is_id, read_deployment
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.documents import DocumentError, parse_json, read_json, typed
from bigflow_backend.ground.limits import MANIFEST
from bigflow_backend.ground.progress import print_progress
from bigflow_backend.image.reference import remote_name
from bigflow_backend.image.registry import (
    fetch_blob,
    fetch_manifest,
    find_digest,
    push_image,
)
from bigflow_backend.image.session import open_session

if TYPE_CHECKING:
    from bigflow_backend.image.oci import Descriptor
    from bigflow_backend.image.reference import RemoteName
    from bigflow_backend.image.session import Session
    from bigflow_backend.project.settings import ImageSettings

_CURRENT = "current.json"
_NOT_OF_TAGS = re.compile("[^A-Za-z0-9_.-]+")
_LONGEST_TAG = 128 - len(".20261231T235959Z-01234567")
"""Characters: the tag of a deployment has its id, too."""


class _Pointer(TypedDict):
    id: str


class RegistryFolder:
    """The deployments of one project in a repository, as a :class:`~.folder.Folder`.

    It has neither a journal nor locks: the tag is moved only if nobody has moved it since it was
    read.
    """

    def __init__(self, name: RemoteName, settings: ImageSettings) -> None:
        self._name = name
        self._settings = settings
        self._seen: str | None = None
        """The digest that the moving tag had when it was read."""
        self._current = ("", b"")
        """The id and the document of the current deployment. Its own tag may have been removed."""

    @property
    def url(self) -> str:
        return f"{REGISTRY}://{self._name}"

    def read(self, path: str, limit: int) -> bytes | None:
        """Return a deployment's document, or the pointer to the current one."""
        name = self._place(path)
        if name is None:
            return None
        if name.tag == self._tag(self._current[0]):
            return self._current[1]
        with open_session(self._settings, print_progress) as session:
            digest = find_digest(name, registries=session.registries)
            if name == self._name:
                self._seen = digest
            if digest is None:
                return None
            # The pointer is in the record of the current deployment.
            limit = MANIFEST if name == self._name else limit
            content = self._record(dataclasses.replace(name, digest=digest), session, limit)
        if name != self._name:
            return content
        with self._errors():
            pointer = typed(parse_json(content, limit=MANIFEST), _Pointer)
        self._current = (pointer["id"], content)
        return json.dumps({"id": pointer["id"]}).encode()

    def write(self, path: str, content: bytes) -> None:
        """Push a deployment, or move the tag to one."""
        name = self._place(path)
        if name is None:
            return
        with open_session(self._settings, print_progress) as session:
            if name == self._name:
                self._move(read_json(content, _Pointer)["id"], session)
                return
            *_, package, file = path.split("/")
            deployment = read_deployment(
                content,
                deployment_id=file.removesuffix(".json"),
                package=package,
                where=self.url,
            )
            subject = self._subject(deployment.manifest.image, session)
            _push(store_artifact(deployment, subject, session.store), name, session)

    def remove(self, path: str) -> None:
        """Leave it: runs may need an old deployment, and many registries refuse."""

    def names(self, directory: str) -> list[str]:
        """Return nothing: there are no locks, and old deployments stay."""
        del directory
        return []

    def place(
        self, package: str, deployment_id: str, texts: Mapping[str, str], *, old: Collection[str]
    ) -> None:
        """Do nothing: the files are in the artifact."""

    def clear(self, package: str, deployment_id: str, *, old: Collection[str]) -> None:
        """Do nothing: an artifact has only the files of its deployment."""

    def _place(self, path: str) -> RemoteName | None:
        """Return the tag for a document; None for what is not needed here."""
        directory, _, file = path.rpartition("/")
        deployment_id = file.removesuffix(".json")
        if not directory.startswith(f"{STATE}/"):
            return None
        if file == _CURRENT:
            return self._name
        if not is_id(deployment_id):
            return None
        return dataclasses.replace(self._name, tag=self._tag(deployment_id))

    def _tag(self, deployment_id: str) -> str:
        return f"{self._name.tag}.{deployment_id}"

    def _record(self, name: RemoteName, session: Session, limit: int) -> bytes:
        store, registries = session.store, session.registries
        manifest = fetch_manifest(name, store=store, registries=registries)
        with self._errors():
            record = record_of(store.read(manifest.digest))
            if record.size > limit:
                raise DocumentError(f"has a record of {record.size} bytes")
        fetch_blob(record, name.repository, store=store, registries=registries)
        return store.read(record.digest)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Let an error in a document name the tag."""
        try:
            yield
        except DocumentError as error:
            raise UserError(
                f"{self.url} {error}", hint="give a tag that nothing else uses"
            ) from error

    def _subject(self, image: str, session: Session) -> Descriptor | None:
        """Return the image's manifest, if it is in the same repository."""
        name = remote_name(image)
        if name.digest is None or name.repository != self._name.repository:
            return None
        return fetch_manifest(name, store=session.store, registries=session.registries)

    def _move(self, deployment_id: str, session: Session) -> None:
        own = dataclasses.replace(self._name, tag=self._tag(deployment_id))
        manifest = fetch_manifest(own, store=session.store, registries=session.registries)
        now = find_digest(self._name, registries=session.registries)
        if now not in {self._seen, manifest.digest}:
            raise UserError(
                f"somebody else has deployed to {self.url} at the same time",
                hint="deploy again: bigflow deploy",
            )
        _push(manifest, self._name, session)
        self._seen = manifest.digest


def open_registry(place: str, settings: ImageSettings) -> RegistryFolder:
    """Return the deployments under a tag such as ``registry.example.com/team/rides:dags-prod``.

    :raises UserError: if it is not a valid name, or has a digest.
    """
    name = remote_name(place)
    if name.digest is not None or len(name.tag) > _LONGEST_TAG:
        raise UserError(
            f"the DAG files need a tag of at most {_LONGEST_TAG} characters: got {place!r}",
            hint="write it like 'oci://registry.example.com/team/project:dags-prod'",
        )
    return RegistryFolder(name, settings)


def moving_tag(configuration: str | None) -> str:
    """Return the tag that an Airflow follows: ``dags``, or ``dags-prod`` for a configuration."""
    return f"dags-{_NOT_OF_TAGS.sub('-', configuration)}" if configuration else "dags"


def _push(manifest: Descriptor, name: RemoteName, session: Session) -> None:
    push_image(manifest, str(name), store=session.store, registries=session.registries)
