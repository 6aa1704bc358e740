"""The last builds of a project, for ``bigflow diff``: each build replaces the last outputs.

They are in the cache, which removes the oldest ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.dags.manifest import NAME, parse_manifest
from bigflow_backend.ground.files import Outputs
from bigflow_backend.ground.limits import DOCUMENT
from bigflow_backend.image.imageinfo import ImageFiles, parse_imageinfo
from bigflow_backend.image.store.blobs import open_store
from bigflow_backend.image.store.key import record_key

if TYPE_CHECKING:
    from bigflow_backend.dags.manifest import Manifest
    from bigflow_backend.image.imageinfo import InfoDocument
    from bigflow_backend.image.store.blobs import BlobStore
    from bigflow_backend.image.store.key import Key


def remember(root: Path, version: str, *, image: bool, dags: bool) -> None:
    """Keep what the outputs in ``root`` say about a version: those of its image, its DAGs or both.

    Another build may replace the outputs at the same time.

    :raises UserError: if the cache is not writable.
    :raises OSError: if the outputs are not there any more.
    """
    info, manifest = root / ImageFiles(version).info, Outputs(root).dags / NAME
    with open_store() as store:
        for path in [*([info] if image else []), *([manifest] if dags else [])]:
            if path.stat().st_size <= DOCUMENT:
                store.put_record(_key(root, version, path), path.read_text("utf-8"))


def known_image(store: BlobStore, root: Path, version: str) -> InfoDocument | None:
    """Return the imageinfo of a version that was built in ``root``."""
    text = store.get_record(_key(root, version, ImageFiles(version).info))
    try:
        return parse_imageinfo(text) if isinstance(text, str) else None
    except ValueError:
        return None  # another release has written it


def known_manifest(store: BlobStore, root: Path, version: str) -> Manifest | None:
    """Return the manifest of a version that was built in ``root``."""
    text = store.get_record(_key(root, version, Path(NAME)))
    try:
        return parse_manifest(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _key(root: Path, version: str, file: Path) -> Key:
    return record_key("build of a version", str(root.resolve()), version, file.name)
