"""Build the wheel of bigflow-backend itself into a directory.

    python scripts/distribution.py [--sdist] DIRECTORY

``--sdist`` builds the files of a release: the sdist, and the wheel from it. It needs `build`.

The build uses a copy of the sources: setuptools leaves a ``build/`` beside what it builds, and
packs again what it finds in one. In the copy, links of README.md lead to the repository, because
a package index shows that file without the others.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["build_distribution"]

_REPOSITORY = Path(__file__).parents[1]
_LINK = re.compile(r"(?P<image>!?)(?P<text>\[[^\]]*\])\((?![a-z]+:|#)(?P<path>[^)\s]+)\)")
_SOURCE = re.compile(r'(?P<name>\ssrc(?:set)?=")(?![a-z]+:)')


def build_distribution(directory: Path, *, sdist: bool = False) -> Path:
    """Return the path of the wheel, built with what [build-system] requires."""
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / "bigflow-backend"
        shutil.copytree(
            _REPOSITORY / "src",
            copy / "src",
            ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"),
        )
        for name in ("pyproject.toml", "setup.cfg", "LICENSE"):
            shutil.copy2(_REPOSITORY / name, copy)
        readme = (_REPOSITORY / "README.md").read_text("utf-8")
        (copy / "README.md").write_text(on_index(readme), "utf-8")
        pip = ["pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
        command = ["build", "--outdir"] if sdist else pip
        subprocess.run(
            [sys.executable, "-m", *command, str(directory.absolute()), str(copy)],
            env={**os.environ, "SOURCE_DATE_EPOCH": _commit_time()},
            stdout=sys.stderr,
            check=True,
        )
    (wheel,) = directory.glob("bigflow_backend-*.whl")
    return wheel


def on_index(readme: str) -> str:
    """Return the text of README.md with links that are valid on a package index."""
    address = _found(r"^  repository: (\S+)$", "mkdocs.yml")
    tag = "v" + _found(r'^__version__ = "(.+)"$', "src/bigflow/__init__.py")

    def link(found: re.Match[str]) -> str:
        kind = "raw" if found["image"] else "blob"
        return f"{found['image']}{found['text']}({address}/{kind}/{tag}/{found['path']})"

    return _SOURCE.sub(rf"\g<name>{address}/raw/{tag}/", _LINK.sub(link, readme))


def _found(pattern: str, file: str) -> str:
    found = re.search(pattern, (_REPOSITORY / file).read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise SystemExit(f"{file} has no line for {pattern}")
    return found[1]


def _commit_time() -> str:
    """Return the time of the commit in seconds, or that of a wheel's format without git."""
    git = ["git", "-C", str(_REPOSITORY), "log", "-1", "--format=%ct"]
    try:
        found = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        found = ""
    return found or "315532800"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("--sdist", action="store_true")
    given = parser.parse_args()
    print(build_distribution(given.directory, sdist=given.sdist))
