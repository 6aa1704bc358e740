"""Objects -> JSON: `python -m bigflow describe`."""
