"""Limits of what is read, each with its reason. Sizes are in bytes.

Whatever comes from a registry, an index, a base image or a repository may be hostile. A limit is
far above what good input needs, and far below what hurts the building machine.
"""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB

PROJECT_FILE = MIB
"""pyproject.toml, requirements.txt, Dockerfile, deployment_config.py: people write these."""

MODULE = 16 * MIB
"""A Python module, which is held in memory. The largest of the standard library has 1 MiB, and
Python needs about 100 times its size to compile it."""

KEY_NAMES = 100
"""Names in one dotted key of TOML: Python's parser takes 5 GB for 50,000."""

WHEEL_BYTES = 64 * 1024 * MIB
"""The files of a wheel: the largest public ones have 4 GiB."""

WHEEL_FILES = 1_000_000
"""Files of a wheel: the largest public ones have 30,000."""

WHEEL_RECORD = 64 * MIB
"""RECORD of a wheel, with about 100 bytes for a file."""

DOCUMENT = 4 * MIB
"""A JSON document: registries refuse larger manifests, and the largest known index has 100 kB."""

RECORD = 64 * MIB
"""A record of the cache, which we wrote: that of a base image holds its configuration."""

JSON_LEVELS = 64
"""Arrays and objects inside each other: the deepest known document has 8. Python's parser, and
every recursive reader after it, would fail at about 1,000."""

JSON_NUMBER = 2**63 - 1
"""An integer: sizes are signed numbers of 64 bits in every registry."""

INDEX_ENTRIES = 10_000
"""Images in an index: the largest known one has 60."""

LAYERS = 1_000
"""Layers of an image: Docker allows 127."""

MESSAGE = 1_500
"""Characters of a message or a line of progress: longer ones bury what comes before them."""

QUOTATION = 200
"""Characters of another program's text inside a message."""

ERROR_BODY = 64 * KIB
"""The body of an error, a redirect or a token: a token with a hundred scopes has 10 kB."""

REDIRECTS = 10
"""Redirects of one request: pip follows as many."""

RETRY_AFTER = 120.0
"""Seconds of the longest pause that a registry may ask for: people watch the build."""

DOCKER_FILE = MIB
"""Docker's config.json and contexts: people and the command `docker` write them."""

GIT_OUTPUT = 64 * MIB
"""The list of a work tree: 500,000 files with names of 120 letters."""

DESCRIPTION = 16 * MIB
"""The JSON of a project's workflows: 10,000 jobs take about 10 MB."""

MANIFEST = 256 * MIB
"""The manifest of a deployment, with the text of its DAG files: 10,000 files take 100 MB."""

CHILD_MESSAGES = MIB
"""The end of a child's stderr, which becomes a message. What comes before is dropped."""

UNPACKED = 256 * 1024 * MIB
"""A layer or an archive, unpacked: images for machine learning have 20 GiB."""

TAR_HEADER = MIB
"""A PAX header or a long name. Go's archive/tar, and so each container engine, has this limit."""

PATH = 4096
"""A path, or the target of a link: PATH_MAX of Linux."""

LEVELS = 100
"""Directories inside each other: the deepest known distribution has 20. Python's functions for
trees of directories call themselves at each level, and fail at about 1,000."""

NAMES = 300_000
"""Directories, links and needed files of an image: each takes about 300 bytes of memory."""

NAMES_SIZE = 32 * MIB
"""All of their names."""

ACCOUNTS = MIB
"""/etc/passwd and /etc/group: they are held in memory."""

PACKAGE_LIST = 16 * MIB
"""The list of a base's packages: Debian's largest images have 2 MiB."""

PACKAGES = 20_000
"""Packages of a base image: the largest ones have 3,000."""

RPM_DATABASE = 256 * MIB
"""rpm's database of a base: that of a desktop with 2,000 packages has 130 MiB."""

RPM_HEADER = 16 * MIB
"""One of its packages: the header of a kernel, with all its files, has 2 MiB."""

PROGRAM = 512 * MIB
"""The base's Python or a library of it; builds with debug symbols have 300 MiB."""

PYTHON = 1024 * MIB
"""All files of a base image that are unpacked on the disk: its Python and its modules."""

PYTHON_FILES = 1000
"""Files and links of the base's Python that are laid out in the sandbox: about 50."""
LOCK_FILE = 32 * MIB
"""uv.lock or pylock.toml: a lock of 1,000 packages has about 4 MiB."""

POD_LOG = 128 * MIB
"""The output of a pod in a rehearsal, which is held in memory. A kubelet rotates it at 10 MiB."""
