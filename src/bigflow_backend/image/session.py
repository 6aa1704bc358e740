"""The resources that a build of an image keeps open until it is published."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.ground.settings.places import naming

if TYPE_CHECKING:
    from docker import DockerClient

    from bigflow_backend.image.registry import Registries
    from bigflow_backend.image.store.blobs import BlobStore
    from bigflow_backend.project.settings import ImageSettings


class Session:
    """The store, the registries and the engine of one build.

    Each is opened on first use: a build in an engine needs no store, and a layered build needs no
    engine. :func:`open_session` closes them.
    """

    def __init__(
        self,
        settings: ImageSettings,
        say: Callable[[str], None],
        stack: contextlib.ExitStack,
        attempts: int | None = None,
        cache: Path | None = None,
    ) -> None:
        self._attempts = attempts
        self._cache = cache
        self._settings = settings
        self._say = say
        self._stack = stack

    @cached_property
    def store(self) -> BlobStore:
        """
        :raises UserError: if the cache directory is not writable.
        """
        from bigflow_backend.image.store.blobs import open_store

        return self._stack.enter_context(open_store(self._cache))

    @cached_property
    def registries(self) -> Registries:
        from bigflow_backend.ground.progress import show_transfer
        from bigflow_backend.image.registry import Access, Registries

        access = Access(
            plain_http=frozenset(self._insecure()),
            idle_timeout=min(self._settings.idle_timeout, Access.idle_timeout),
            deadline=time.monotonic() + self._settings.timeout,
            attempts=self._attempts or Access.attempts,
            mirrors=dict(self._mirrors()),
            say=self._say,
            progress=show_transfer,
        )
        return self._stack.enter_context(Registries(access))

    def _insecure(self) -> Iterator[str]:
        from bigflow_backend.image.reference import registry_name

        names = self._settings.insecure_registries
        with naming("image.insecure-registries", names):
            yield from map(registry_name, names)

    def _mirrors(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        from bigflow_backend.image.reference import mirror_name, registry_name

        mirrors = self._settings.registry_mirrors
        with naming("image.registry-mirrors", mirrors):
            for registry, names in mirrors.items():
                yield registry_name(registry), tuple(map(mirror_name, names))

    @cached_property
    def engine(self) -> DockerClient:
        """
        :raises UserError: if no engine is running.
        """
        from bigflow_backend.image.engine.client import reachable_engine

        timeout = self._settings.idle_timeout
        return self._stack.enter_context(reachable_engine(timeout=timeout))

    @cached_property
    def engine_name(self) -> str:
        """The kind and the version of the engine, such as ``Docker Engine 20.10.24``.

        :raises UserError: if no engine is running.
        """
        from bigflow_backend.image.engine.client import engine_name

        return engine_name(self.engine)


@contextlib.contextmanager
def open_session(
    settings: ImageSettings,
    say: Callable[[str], None],
    *,
    attempts: int | None = None,
    cache: Path | None = None,
) -> Iterator[Session]:
    """Yield the session of one build. Until the block ends, the store keeps the image's blobs.

    ``attempts`` is the number of tries after transient errors of a registry, and ``cache`` the
    directory of the store, instead of the user's.
    """
    with contextlib.ExitStack() as stack:
        yield Session(settings, say, stack, attempts, cache)
