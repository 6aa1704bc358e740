"""Wheel -> Image, without an engine."""
