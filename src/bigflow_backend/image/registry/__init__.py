"""Names of images -> blobs and manifests: pull and push by the distribution protocol.

- ``connection``: requests to one registry
- ``auth``: the Authorization header
- ``credentials``: credentials of Docker's configuration
- ``tls``: certificates of registries
- ``retry``: timeouts, retries and pauses
- ``errors``: errors of connections and answers
- ``mirrors``: the registries that are asked first
- ``parallel``: up to four transfers in threads
- ``pull``: manifests and blobs into the store
- ``push``: an image of the store into a registry
- ``referrers``: documents that belong to a pushed image
- ``upload``: the upload of one blob
- ``places``: the repositories that got a blob from us

docs/decisions/0004-our-own-registry-client.md says why we have our own client.
"""

from bigflow_backend.image.registry.connection import Registries
from bigflow_backend.image.registry.pull import (
    fetch_blob,
    fetch_blobs,
    fetch_manifest,
    find_digest,
)
from bigflow_backend.image.registry.push import Pushed, push_image
from bigflow_backend.image.registry.referrers import Artifact, attach, copy_documents
from bigflow_backend.image.registry.retry import Access

__all__ = [
    "Access",
    "Artifact",
    "Pushed",
    "Registries",
    "attach",
    "copy_documents",
    "fetch_blob",
    "fetch_blobs",
    "fetch_manifest",
    "find_digest",
    "push_image",
]
