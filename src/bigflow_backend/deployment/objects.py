"""A DAGs folder in an object store, through fsspec: Google Cloud Storage, Amazon S3, Azure.

An object is written whole. The files of a deployment appear one after the other, and the pointer to
it last. Credentials are those of the platform's own tools; its library finds them.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.text import one_line, system_reason
from bigflow_backend.ground.limits import MANIFEST

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_LOGGERS = ("adlfs", "aiobotocore", "azure", "botocore", "gcsfs", "google", "s3fs")


@dataclass(frozen=True)
class _Store:
    module: str
    name: str
    extra: str
    login: str


_AZURE = _Store(
    "adlfs",
    "AzureBlobFileSystem",
    "deploy-azure",
    "set AZURE_STORAGE_ACCOUNT_NAME, and run az login",
)
_STORES = {
    # gcsfs exports another class, which asks for the kind of the bucket and needs a right for it.
    "gs": _Store(
        "gcsfs.core", "GCSFileSystem", "deploy-gcs", "gcloud auth application-default login"
    ),
    "s3": _Store("s3fs", "S3FileSystem", "deploy-s3", "aws configure, or set AWS_PROFILE"),
    "az": _AZURE,
    "abfs": _AZURE,
}


def open_objects(scheme: str, path: str) -> ObjectFolder:
    """Return the folder ``scheme://path``.

    :raises UserError: if the library for the store is not installed.
    """
    store = _STORES[scheme]
    for name in _LOGGERS:  # an error is reported once, in one line
        logging.getLogger(name).addHandler(logging.NullHandler())
    try:
        kind = getattr(import_module(store.module), store.name)
    except ImportError as error:
        raise UserError(
            f"{scheme}://{path} needs the library {store.module.partition('.')[0]}, which is not"
            " installed",
            hint=f"pip install 'bigflow-backend[{store.extra}]'",
        ) from error
    options: dict[str, Any] = {"use_listings_cache": False, "skip_instance_cache": True}
    if store is _AZURE and "AZURE_STORAGE_CONNECTION_STRING" not in os.environ:
        options["anon"] = False  # the login of the machine
    try:
        files = kind(**options)
    except Exception as error:
        raise _failed(f"{scheme}://{path}", scheme, error) from error
    return ObjectFolder(scheme, path, files)


class ObjectFolder:
    """The objects of a bucket below a prefix."""

    def __init__(self, scheme: str, path: str, files: AbstractFileSystem) -> None:
        self._scheme = scheme
        self._path = path
        self._files = files

    @property
    def url(self) -> str:
        return f"{self._scheme}://{self._path}"

    def read(self, path: str, limit: int) -> bytes | None:
        place = self._place(path)
        with self._reported():
            try:
                size = self._files.info(place)["size"]
                content = self._files.cat_file(place) if size <= limit else bytes(limit + 1)
            except FileNotFoundError:
                return None
        if len(content) > limit:
            raise UserError(
                f"{self.url}/{path} is too large: the limit is {limit:,} bytes",
                hint="check that it is the file that you mean",
            )
        return bytes(content)

    def write(self, path: str, content: bytes) -> None:
        with self._reported():
            self._files.pipe_file(self._place(path), content)

    def remove(self, path: str) -> None:
        with self._reported(), contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._place(path))

    def names(self, directory: str) -> list[str]:
        with self._reported():
            self._files.invalidate_cache()
            try:
                entries = self._files.ls(self._place(directory), detail=True)
            except FileNotFoundError:
                return []
        return sorted(
            str(entry["name"]).rpartition("/")[2] for entry in entries if entry["type"] == "file"
        )

    def place(
        self, package: str, deployment_id: str, texts: Mapping[str, str], *, old: Collection[str]
    ) -> None:
        del deployment_id, old  # nothing becomes live at once here
        for name, text in texts.items():
            content = text.encode()
            if self.read(f"{package}/{name}", MANIFEST) != content:
                self.write(f"{package}/{name}", content)

    def clear(self, package: str, deployment_id: str, *, old: Collection[str]) -> None:
        del deployment_id
        for name in old:
            self.remove(f"{package}/{name}")

    def _place(self, path: str) -> str:
        return f"{self._path}/{path}"

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        """Report an error of the store. Each library has its own exceptions."""
        try:
            yield
        except Exception as error:
            raise _failed(self.url, self._scheme, error) from error


def _failed(url: str, scheme: str, error: Exception) -> UserError:
    return UserError(
        f"{url}: {one_line(system_reason(error)) or type(error).__name__}",
        hint=f"check the name and your permissions; to log in: {_STORES[scheme].login}",
    )
