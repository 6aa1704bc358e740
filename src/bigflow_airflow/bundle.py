"""A DAG bundle of Airflow 3 that reads the DAG files from a registry.

https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/dag-bundles.html
"""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
from pathlib import Path
from typing import Any

from airflow.dag_processing.bundles import base

from bigflow_airflow import artifact
from bigflow_airflow.credentials import Credentials, DockerConfiguration
from bigflow_airflow.errors import RegistryError
from bigflow_airflow.registry import Repository, is_digest, split_name

_log = logging.getLogger(__name__)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


class OciDagBundle(base.BaseDagBundle):  # type: ignore[misc]
    """The DAG files that ``bigflow deploy --to oci`` has pushed beside an image.

    A version is the digest of an artifact. Its files lie in a directory of their own, which never
    changes. A run reads the version that it began with, to its end.

    :param image: The repository, such as ``registry.example.com/team/project``.
    :param tag: The tag that ``bigflow deploy`` moves.
    :param conn_id: A connection of Airflow with user and password. Without it, they come from
        Docker's ``config.json``.
    :param ca_file: Certificates to trust, beside those of the system.
    :param plain_http: Whether to use HTTP. By default, only a registry on this machine is asked
        without TLS.
    :param timeout: Seconds after which all requests of one call end.
    :raises ValueError: if a parameter is not valid.
    """

    supports_versioning = True

    def __init__(
        self,
        *,
        image: str,
        tag: str = "dags",
        conn_id: str | None = None,
        ca_file: str | None = None,
        plain_http: bool | None = None,
        timeout: float = 60,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        split_name(image)
        if not _TAG.fullmatch(tag):
            raise ValueError(f"the tag must be like 'dags-prod': got {tag!r}")
        if self.version and not is_digest(self.version):
            raise ValueError(f"the version must be a digest: got {self.version!r}")
        self._image = image
        self._tag = tag
        self._conn_id = conn_id
        self._ca_file = ca_file
        self._plain_http = plain_http
        self._timeout = timeout
        self._current = Path(self.base_dir) / "current"

    @property
    def path(self) -> Path:
        """The directory of the version; without one, a link to the newest that is known."""
        return self._directory(self.version) if self.version else self._current

    def get_current_version(self) -> Any:
        """Return the digest of the artifact, or None before the first one is read."""
        digest = self.version or self._current_digest()
        make = getattr(base, "BundleVersion", None)  # from 3.3 on
        return make(version=digest) if make and digest else digest

    def initialize(self) -> None:
        """Make the files available.

        :raises RegistryError: if the registry does not give them, and they are not here.
        """
        if self.version:
            self._need(self.version, self._repository)
        else:
            self.refresh()
        super().initialize()

    def refresh(self) -> None:
        """Read the version that the tag names now.

        If it cannot be read, the last one stays, and a line of the log says why.

        :raises RegistryError: if there is no last one.
        """
        if self.version:
            return
        with self.lock():  # another process must not replace a newer version by an older one
            last = self._current_digest()
            try:
                repository = self._repository()
                digest = repository.digest(self._tag)
                self._need(digest, lambda: repository)
                self._point_to(digest)
            except (RegistryError, OSError) as error:
                if last is None:
                    raise
                _log.warning("DAG bundle %s stays at version %s: %s", self.name, last, error)
                self._mark_used(last)

    def _directory(self, digest: str) -> Path:
        return Path(self.versions_dir) / digest

    def _current_digest(self) -> str | None:
        with contextlib.suppress(OSError):
            digest: str = self._current.readlink().name
            if is_digest(digest) and self._directory(digest).is_dir():
                return digest
        return None

    def _need(self, digest: str, repository: Any) -> None:
        """Fetch a version, unless it is here. It appears at once, and complete."""
        directory = self._directory(digest)
        if not directory.is_dir():
            with self.lock():
                if not directory.is_dir():
                    # A process that was killed leaves it. The lock says that nobody writes to it.
                    incoming = Path(self.base_dir) / "incoming"
                    shutil.rmtree(incoming, ignore_errors=True)
                    incoming.mkdir(parents=True)
                    artifact.fetch(repository(), digest, incoming)
                    directory.parent.mkdir(exist_ok=True)
                    incoming.rename(directory)
                    _log.info("DAG bundle %s has fetched version %s", self.name, digest)
        self._mark_used(digest)

    def _mark_used(self, digest: str) -> None:
        """Note the time, so that Airflow removes the version when it was not used for long."""
        with base.BundleVersionLock(bundle_name=self.name, bundle_version=digest):
            pass

    def _point_to(self, digest: str) -> None:
        if self._current_digest() == digest:
            return
        link = self._current.with_name("next")
        link.unlink(missing_ok=True)
        link.symlink_to(self._directory(digest))
        link.replace(self._current)

    def _repository(self) -> Repository:
        docker = DockerConfiguration()
        return Repository(
            self._image,
            credentials=lambda: self._credentials(docker),
            known_hosts=lambda: docker.hosts,
            ca_file=self._ca_file,
            plain_http=self._plain_http,
            timeout=self._timeout,
        )

    def _credentials(self, docker: DockerConfiguration) -> Credentials | None:
        if self._conn_id is None:
            return docker.credentials(split_name(self._image)[0])
        try:
            connection = _base_hook().get_connection(self._conn_id)
        except Exception as error:  # each backend of secrets has its own errors
            raise RegistryError(
                f"the connection {self._conn_id!r} cannot be read: {type(error).__name__}"
            ) from error
        return Credentials(connection.login or "", connection.password or "")


def _base_hook() -> Any:
    try:
        from airflow.sdk.bases.hook import BaseHook
    except ImportError:  # Airflow 3.0
        from airflow.hooks.base import BaseHook
    return BaseHook
