"""A name and a few choices -> the files of a project that builds as it stands.

- ``model``: ``NewProject``, the choices
- ``files``: the files of a new project, and where each goes
- ``start``: write a new project, or what an existing one lacks
- ``wheels``: the directory with the wheel of bigflow-backend, if no index has it
- ``existing``: code that is there already -> ``NewProject``
- ``pyproject``: change an existing pyproject.toml and keep its comments
- ``templates/``: the files, as Jinja templates
"""
