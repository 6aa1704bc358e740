"""Objects -> JSON: `python -m bigflow describe`.

- ``command``: the command; it prints the JSON and ends the process
- ``workflows``: workflows and jobs as plain data
- ``deployment``: deployment_config.py as plain data
- ``discovery``: finds the workflows of a package, or loads one of them
- ``fields``: the table of job and workflow attributes
- ``own_attributes``: the error for a user's attribute that has the name of a job attribute
- ``values``: how each kind of value is checked
- ``schema.json``: the form of the JSON, made by ``make format``
"""
