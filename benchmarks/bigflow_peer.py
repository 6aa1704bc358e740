"""BigFlow 1.11.3 with a project of its template, on the same engine as this project.

The Dockerfile is that of ``bigflow start-project``, without its apt-get step: the base image has no
apt, and the step installs nothing. The functions of BigFlow's commands run in a process that has
already imported them. So the figures contain neither BigFlow's start of about a second, nor the
tests that ``build-package`` runs first.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clock import READ, now
from environments import environment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["BigFlow", "bigflow_project"]

REQUIREMENT = "bigflow==1.11.3"
# BigFlow imports pkg_resources, which setuptools 82 removed.
_SETUPTOOLS = "setuptools<82"
_SETUP = """\
import bigflow.build

bigflow.build.setup(name="demo", version="1.0.0", docker_repository={0!r})
"""
_CONFIG = """\
from bigflow.configuration import DeploymentConfig

deployment_config = DeploymentConfig("dev", {{"docker_repository": {0!r}}})
"""
_CALLS = f"""\
{READ}
import json, logging, sys
from bigflow.build import dist, operate, spec
logging.disable(logging.CRITICAL)
project = spec.get_project_spec()
start = now()
for step in sys.argv[1:]:
    if step == "wheel":
        operate.clear_package_leftovers(project)
        stdout, sys.stdout = sys.stdout, sys.stderr
        dist.run_setup_command(project, "bdist_wheel")
        sys.stdout = stdout
    else:
        operate.build_image(project, export_image_tar=step == "tar")
print(now() - start)
"""
# RUN steps of a private engine need the network of the host, and BigFlow has no option for it.
_DOCKER = """\
#!/bin/sh
if [ "$1" = build ]; then
    shift
    exec {docker} build --network host "$@"
fi
exec {docker} "$@"
"""


@dataclass(frozen=True)
class BigFlow:
    """A project of BigFlow, and an installed BigFlow."""

    root: Path
    python: Path
    variables: Mapping[str, str]
    repository: str

    @property
    def image(self) -> str:
        return f"{self.repository}:1.0.0"

    def seconds(self, *steps: str) -> float:
        """Return the time of the steps ``wheel``, ``image`` or ``tar`` (image and archive)."""
        return float(self._run([self.python, "-c", _CALLS, *steps]).splitlines()[-1])

    def docker_build(self) -> float:
        """Return the time of `docker build`, without BigFlow."""
        # BigFlow also removes the archive of the last build from the context.
        shutil.rmtree(self.root / ".image", ignore_errors=True)
        start = now()
        self._run(["docker", "build", str(self.root), "--tag", self.image])
        return now() - start

    def pushed_bytes(self, registry: str, storage: Path) -> int:
        """Push the image to a registry. Return the number of new bytes in its blobs."""
        before = _size(storage)
        target = f"{registry}/bigflow"
        self._run(["docker", "tag", self.image, target])
        self._run(["docker", "push", target])
        self._run(["docker", "rmi", target])
        return _size(storage) - before

    def _run(self, command: Sequence[str | Path]) -> str:
        done = subprocess.run(
            command,
            cwd=self.root,
            env=dict(self.variables),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{command} failed:\n{done.stdout}{done.stderr}")
        return done.stdout


def bigflow_project(
    work: Path,
    modules: Mapping[str, str],
    requirements: Sequence[str],
    *,
    base: str,
    repository: str,
    variables: Mapping[str, str],
) -> BigFlow:
    """Create a project in ``work`` with these modules and requirements, and BigFlow."""
    python = work / "bigflow" / "bin" / "python"
    if not python.exists():
        environment(work / "bigflow", REQUIREMENT, _SETUPTOOLS)
    root = work / repository.rpartition("/")[2]
    files = {
        **modules,
        "setup.py": _SETUP.format(repository),
        "deployment_config.py": _CONFIG.format(repository),
        "resources/requirements.txt": "\n".join([REQUIREMENT, *requirements, ""]),
        "Dockerfile": _dockerfile(python, base),
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    docker = python.with_name("docker")
    docker.write_text(_DOCKER.format(docker=shutil.which("docker")), "utf-8")
    docker.chmod(0o755)
    own = {**variables, "PATH": f"{python.parent}:{variables['PATH']}"}
    own.pop("PYTHONPATH", None)
    return BigFlow(root, python, own, repository)


def _dockerfile(python: Path, base: str) -> str:
    found = subprocess.run(
        [python, "-I", "-c", "import bigflow.scaffold; print(bigflow.scaffold.__path__[0])"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    template = Path(found.stdout.strip(), "templates", "new-project", "Dockerfile").read_text()
    without_apt = re.sub(r"^RUN apt-get.*?lists/\*\n", "", template, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"^FROM .*", f"FROM {base}", without_apt, flags=re.MULTILINE)


def _size(storage: Path) -> int:
    return sum(path.stat().st_size for path in storage.glob("docker/registry/v2/blobs/**/data"))
