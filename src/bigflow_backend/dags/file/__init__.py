"""Dag model -> text of a DAG file.

- ``template``: fill our Jinja2 template, or one of the project
- ``template_errors``: the errors of a project's template, with file and line
- ``literals``: values as Python source
- ``verify``: check the file that a project's template gives
- ``templates/dag.py.j2``: our template
"""
