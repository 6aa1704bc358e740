"""The steps of the GitHub action in ``action.yml``.

    python scripts/github_action.py install|run

``install`` builds the wheel of bigflow-backend from this checkout, and installs it with the project
in the current directory. ``run`` runs the command that the inputs name, and writes the outputs.
Inputs arrive in variables of the environment, so they never become code of a shell.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any


def install() -> int:
    wheels = Path(os.environ["RUNNER_TEMP"]) / "bigflow-backend"
    script = Path(__file__).with_name("distribution.py")
    subprocess.run([sys.executable, script, wheels], check=True)
    (wheel,) = wheels.glob("*.whl")
    # Isolated builds of the project find the wheel, too: in this step and in later ones.
    variables = {
        name: separator.join(filter(None, (str(wheels), os.environ.get(name))))
        for name, separator in (("PIP_FIND_LINKS", " "), ("UV_FIND_LINKS", ","))
    }
    _append("GITHUB_ENV", variables)
    pip = [sys.executable, "-m", "pip", "install"]
    project = ["--editable", "."]
    return subprocess.run(
        [*pip, f"{wheel}[build]", *project], env={**os.environ, **variables}, check=False
    ).returncode


def run() -> int:
    from bigflow_backend.cli.commands import COMMANDS

    name = os.environ["BIGFLOW_ACTION_COMMAND"].strip()
    arguments = shlex.split(os.environ["BIGFLOW_ACTION_ARGS"])
    command = COMMANDS.get(name)
    names = {name for option in (command.options if command else ()) for name in option.names}
    if "--json" not in names or "--json" in arguments:
        return _bigflow(name, *arguments).returncode
    done = _bigflow(name, "--json", *arguments, stdout=subprocess.PIPE)
    print(done.stdout, end="", flush=True)
    if done.returncode == 0:
        _append("GITHUB_OUTPUT", outputs(json.loads(done.stdout)))
    return done.returncode


def outputs(result: Any) -> dict[str, str]:
    """Return the outputs of the action: facts in the JSON of a build, a deployment or a version."""

    def part(name: str) -> dict[str, Any]:
        value = result.get(name)
        return value if isinstance(value, dict) else {}

    if not isinstance(result, dict):
        return {}
    wheel, image, dags = part("wheel"), part("image"), part("dags")
    versions = (facts.get("version") for facts in (result, image, wheel, dags))
    found = {
        "version": next(filter(None, versions), None),
        "wheel": wheel.get("path"),
        "image": image.get("tag") or dags.get("image") or result.get("image"),
        "digest": image.get("digest") or result.get("digest"),
    }
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _bigflow(*arguments: str, stdout: int | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bigflow", *arguments]
    return subprocess.run(command, stdout=stdout, text=True, check=False)


def _append(variable: str, values: dict[str, str]) -> None:
    """Write ``name=value`` lines into the file that a variable of the runner names."""
    with Path(os.environ[variable]).open("a", encoding="utf-8") as file:
        file.writelines(f"{name}={' '.join(value.split())}\n" for name, value in values.items())


if __name__ == "__main__":
    sys.exit({"install": install, "run": run}[sys.argv[1]]())
