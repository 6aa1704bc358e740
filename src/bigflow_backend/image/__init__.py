"""Wheel -> Image."""
