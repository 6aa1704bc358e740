"""The builder that needs no engine: ``builder`` strings the steps, each a module of its own."""

from bigflow_backend.image.embedded.builder import EmbeddedBuilder
from bigflow_backend.image.embedded.refusal import CannotServeError, NoBaseError

__all__ = ["CannotServeError", "EmbeddedBuilder", "NoBaseError"]
