"""Dockerfile -> Image, by an engine."""
