"""Limits of what is read, each with its reason. Sizes are in bytes.

Whatever comes from a registry, an index, a base image or a repository may be hostile. A limit is
far above what good input needs, and far below what hurts the building machine.
"""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB

PROJECT_FILE = MIB
"""pyproject.toml, requirements.txt, Dockerfile, deployment_config.py: people write these."""
