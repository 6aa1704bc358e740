"""Mirrors of registries: they are asked first for the images that we pull. Nothing is pushed there.

A mirror gets only its own credentials. Digests of blobs are checked as those of the registry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from bigflow_backend.ground.errors import UserError
from bigflow_backend.image.registry.parallel import in_caller

if TYPE_CHECKING:
    from bigflow_backend.image.registry.connection import Registries

_T = TypeVar("_T")


def fetch_from_any(
    registries: Registries, registry: str, path: str, fetch: Callable[[Registries, str, str], _T]
) -> _T:
    """Call ``fetch`` with connections, a registry and a path: first those of its mirrors, in turn.

    A repository of a mirror that has failed is not asked again in this build.

    :raises UserError: the error of the registry itself, if all fail.
    """
    mirrors = registries.access.mirrors.get(registry, ())
    for mirror, following in zip(mirrors, (*mirrors, registry)[1:], strict=True):
        host, slash, above = mirror.partition("/")
        place = f"{above}{slash}{path}"
        repository = f"{host}/{place}"
        if repository not in registries.failed_mirrors:
            try:
                return fetch(registries.mirror(host), host, place)
            except UserError as error:
                # Of transfers that run at once, one reports it.
                if repository not in registries.failed_mirrors:
                    registries.failed_mirrors.add(repository)
                    line = f"{error.message}; the mirror failed, so {following} is asked"
                    in_caller(registries.access.say, line)
    return fetch(registries, registry, path)
