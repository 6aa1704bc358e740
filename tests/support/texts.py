"""Strategies of hypothesis for texts that templates, Kubernetes or Python could misread."""

from __future__ import annotations

from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
HOSTILE = st.lists(
    st.sampled_from(["{{", "}}", "{%", "%}", "{#", "#}", "{% raw %}", "{% endraw %}", "{", "%"])
    | st.sampled_from(["'", '"', "\\", "\\x", "\n", "\r", "\r\n", " ", "\u2028", "ż", "\U0001f600"])
    | st.sampled_from(["$", "$$", "$(HOME)", "$(", ")"])
).map("".join)
