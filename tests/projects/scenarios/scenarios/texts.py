"""A text with the special characters of Python, Jinja, Kubernetes and shells."""

HOSTILE = "'\"\\ {{ 1 + 1 }} {% raw %} {# no #} ${HOME} $(HOME) $$(HOME) \r\n żółw \u2028 \U0001f422\n"
