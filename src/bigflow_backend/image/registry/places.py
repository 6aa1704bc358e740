"""The repositories of a registry that got a blob from us, as the store remembers them.

A push into another repository of the registry mounts the blob from there, so a push to production
after one to development sends only manifests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bigflow_backend.image.store.key import Key, record_key

if TYPE_CHECKING:
    from bigflow_backend.image.reference import RemoteName
    from bigflow_backend.image.store.blobs import BlobStore

# Each one costs a request if its blob is gone.
_MOST = 3


def blob_places(store: BlobStore, registry: str, digest: str) -> tuple[str, ...]:
    """Return the paths of repositories that had the blob, the last one first.

    They may have lost it, or may be closed to us now.
    """
    found = store.get_record(_key(registry, digest))
    paths = found if isinstance(found, list) else []
    return tuple(path for path in paths if isinstance(path, str))[:_MOST]


def remember_place(store: BlobStore, name: RemoteName, digest: str) -> None:
    """Record that the repository of ``name`` has the blob."""
    known = blob_places(store, name.registry, digest)
    if known[:1] != (name.path,):
        others = [path for path in known if path != name.path]
        store.put_record(_key(name.registry, digest), [name.path, *others][:_MOST])


def _key(registry: str, digest: str) -> Key:
    return record_key("places", registry, digest)
