"""The process of `bigflow describe`: output, path and configuration."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from support.runtime import describe, run_bigflow, write_files

if TYPE_CHECKING:
    from pathlib import Path


def test_output_of_the_project_goes_to_stderr(tmp_path: Path) -> None:
    text = """
import os, subprocess, sys
print("by print")
os.write(1, b"by the descriptor\\n")
subprocess.run([sys.executable, "-c", "print('by a child')"])
sys.__stdout__.write("by the original\\n")
"""
    write_files(tmp_path, {"p.py": text})
    done = run_bigflow("describe", "--project-package", "p", cwd=tmp_path)
    assert json.loads(done.stdout)["workflows"] == []
    assert sorted(done.stderr.splitlines()) == [
        "by a child",
        "by print",
        "by the descriptor",
        "by the original",
    ]


def test_a_thread_of_the_project_does_not_delay_the_end(tmp_path: Path) -> None:
    text = "import threading\nthreading.Thread(target=threading.Event().wait).start()\n"
    write_files(tmp_path, {"p.py": text})
    assert describe("--project-package", "p", cwd=tmp_path)["workflows"] == []


def test_root_comes_first_on_the_path(tmp_path: Path) -> None:
    text = "import bigflow\nw = bigflow.Workflow({!r}, [])"
    write_files(tmp_path, {"p.py": text.format("here"), "src/p.py": text.format("there")})
    answer = describe("--project-package", "p", "--root", "src", cwd=tmp_path)
    assert [w["id"] for w in answer["workflows"]] == ["there"]


def test_workflows_resolve_the_configuration_of_the_build(tmp_path: Path) -> None:
    text = """
import bigflow
config = bigflow.Config("dev", {"pool": "small"}).add_configuration("prod", {"pool": "big"})
w = bigflow.Workflow("w", [], tags=[config.resolve_property("pool")])
"""
    write_files(tmp_path, {"p.py": text})

    def tags(*arguments: str, **env: str) -> list[str]:
        answer = describe("--project-package", "p", *arguments, cwd=tmp_path, env=env)
        found: list[str] = answer["workflows"][0]["tags"]
        return found

    assert tags() == ["small"]
    assert tags("--config", "prod") == tags(bf_env="prod") == ["big"]
    assert tags("--config", "dev", bf_env="prod") == ["small"]


def test_a_crash_prints_its_line(tmp_path: Path) -> None:
    write_files(tmp_path, {"p.py": "import ctypes\n\nctypes.string_at(0)\n"})
    done = run_bigflow("describe", "--project-package", "p", cwd=tmp_path)
    assert (done.returncode < 0, done.stdout) == (True, "")
    assert 'p.py", line 3 in <module>' in done.stderr
