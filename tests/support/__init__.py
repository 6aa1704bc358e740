"""Helpers that the tests share: ``from support.x import y``."""
