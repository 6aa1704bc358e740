"""Project and wheel -> image: the context, the builder, and what is written of it.

The names are loaded on first use (PEP 562): who builds DAGs reads references of images and needs
none of the builders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bigflow_backend.image.build import Image, build_image
    from bigflow_backend.image.options import ImageOptions

__all__ = ["Image", "ImageOptions", "build_image"]


def __getattr__(name: str) -> Any:
    if name in {"Image", "build_image"}:
        from bigflow_backend.image import build

        return getattr(build, name)
    if name == "ImageOptions":
        from bigflow_backend.image.options import ImageOptions

        return ImageOptions
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
