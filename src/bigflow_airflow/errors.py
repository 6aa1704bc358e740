"""The error of this package."""


class RegistryError(Exception):
    """A registry does not give what was asked for. The message is one line without secrets."""
