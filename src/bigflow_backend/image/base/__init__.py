"""Name -> BaseImage."""
