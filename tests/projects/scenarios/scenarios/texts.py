"""Texts that would be something else to Python, to Jinja, to Kubernetes or to a shell."""

HOSTILE = "'\"\\ {{ 1 + 1 }} {% raw %} {# no #} ${HOME} $(HOME) $$(HOME) \r\n żółw \u2028 \U0001f422\n"
