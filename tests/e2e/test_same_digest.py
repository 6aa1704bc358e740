"""The image of the sample project has one digest for two Pythons, users, caches and directories."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uv

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
DEBIAN_PYTHON = "/usr/bin/python3"
# The configuration of the package index belongs to the machine, not to the user.
PASSED_ON = ("PIP_", "UV_", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "HTTP", "http", "NO_PROXY")


@pytest.fixture
def place() -> Iterator[Path]:
    """Create a directory that all users can enter. The directories of pytest are private."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_one_digest_for_two_users_and_two_pythons(
    place: Path, bigflow_wheels: Path, base_archive: str, bubblewrap: str
) -> None:
    base = shutil.copy(base_archive.removeprefix("docker-archive:"), place)
    wheels = shutil.copytree(bigflow_wheels, place / "wheels")
    source = place / "source"
    shutil.copytree(
        REPOSITORY / "sample_project",
        source,
        ignore=shutil.ignore_patterns("dist", ".dags", ".image", "__pycache__"),
    )
    builds = (
        ("root", sys.executable, {"TZ": "UTC", "LANG": "C.UTF-8", "SOURCE_DATE_EPOCH": "1"}, 0o022),
        (
            "nobody",
            DEBIAN_PYTHON,
            {"TZ": "Asia/Tokyo", "LANG": "C", "SOURCE_DATE_EPOCH": "1"},
            0o077,
        ),
    )
    digests = set()
    for user, python, environment, umask in builds:
        home = place / f"home of {user}"
        project = shutil.copytree(source, home / "work" / user)
        call(uv.find_uv_bin(), "venv", "--quiet", "--python", python, home / "venv")
        call(
            *(uv.find_uv_bin(), "pip", "install", "--quiet", "--python", home / "venv/bin/python"),
            *("--find-links", wheels, "bigflow-backend[build]", "-r"),
            project / "resources" / "requirements.txt",
        )
        call("chown", "--recursive", user, home)
        call(
            *(home / "venv/bin/bigflow", "build-image", "--builder=layered"),
            *(f"--base-image=docker-archive:{base}", f"--find-links={wheels}"),
            cwd=project,
            user=user,
            umask=umask,
            environment={"HOME": str(home), "BIGFLOW_VERSION": "1.2.0", **environment},
        )
        info = json.loads((project / ".image" / "imageinfo-1.2.0.json").read_text("utf-8"))
        digests.add((info["digest"], info["base"]["digest"], *info["dependencies"]))
    assert len(digests) == 1


def call(
    *command: str | Path,
    cwd: Path | None = None,
    user: str | None = None,
    umask: int = -1,
    environment: Mapping[str, str] | None = None,
) -> None:
    inherited = {k: v for k, v in os.environ.items() if k == "PATH" or k.startswith(PASSED_ON)}
    done = subprocess.run(
        command,
        cwd=cwd,
        user=user,
        umask=umask,
        env={**inherited, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
