"""Texts of the source -> Markdown that GitHub and the site show alike."""

from __future__ import annotations

import re

from reference.texts import Text


def markdown(text: Text) -> str:
    """Return a text with its holes in italics."""
    return "".join(
        escaped(part) if isinstance(part, str) else f"*{part.words}*" for part in text
    ).replace("**", "* *")


def escaped(text: str) -> str:
    """Return a text without characters that Markdown reads, but with its `code`."""
    parts = text.replace("``", "`").split("`")
    if len(parts) % 2 == 0:  # a lone backtick
        return re.sub(r"([\\`*_\[\]<|])", r"\\\1", text)
    return "`".join(
        part if i % 2 else re.sub(r"([\\*_\[\]<|])", r"\\\1", part) for i, part in enumerate(parts)
    )


def slug(title: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\s-]", "", title).strip().lower().replace(" ", "-")
