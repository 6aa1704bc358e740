"""Project and wheel -> image: the context, the builder, and what is written of it."""

from bigflow_backend.image.build import Image, build_image
from bigflow_backend.image.options import ImageOptions

__all__ = ["Image", "ImageOptions", "build_image"]
