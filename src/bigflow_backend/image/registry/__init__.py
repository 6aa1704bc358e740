"""Pull and push by the distribution protocol, with the credentials of Docker's configuration.

Why it is our own client: docs/decisions/0004-our-own-registry-client.md
"""

from bigflow_backend.image.registry.connection import Registries
from bigflow_backend.image.registry.pull import fetch_blob, fetch_manifest, find_digest
from bigflow_backend.image.registry.push import Pushed, push_image
from bigflow_backend.image.registry.retry import Access

__all__ = [
    "Access",
    "Pushed",
    "Registries",
    "fetch_blob",
    "fetch_manifest",
    "find_digest",
    "push_image",
]
