"""Bytes and texts of other programs and machines -> values within limits.

- ``documents``: JSON, parsed within limits, and the check of its types
- ``http``: requests whose waits end at a deadline
- ``text``: the text of other programs, fit for a message
- ``toml``: TOML, parsed within limits
- ``urls``: URLs, and texts without their secrets
"""
