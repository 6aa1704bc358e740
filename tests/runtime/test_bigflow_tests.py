"""The script that runs BigFlow's own tests against our package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.runtime import write_files

SCRIPT = Path(__file__).parents[2] / "scripts/bigflow_tests.py"


@pytest.mark.slow
def test_a_table_of_the_modules(tmp_path: Path) -> None:
    sources = write_files(
        tmp_path,
        {
            "bigflow/__init__.py": "raise ImportError('not ours')",
            "test/__init__.py": "",
            "test/test_a.py": "from bigflow.workflow import Workflow, WorkflowJob\n"
            "def test_one(): assert Workflow\ndef test_two(): WorkflowJob()\n",
            "test/test_b.py": "import bigflow.dataflow\n",
            "test/test_c.py": "from test import test_a\ndef test_three(): pass\n",
            "test/bf-projects/p/test/test_d.py": "",
        },
    )
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(sources)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    a, b, c = done.stdout.splitlines()[2:]
    assert a == "| `test/test_a.py` | 1 of 2 | TypeError: 'NoneType' object is not callable |"
    assert b.startswith("| `test/test_b.py` | 0 of 1 | bigflow.absent.AbsentModuleError: bigflow.d")
    assert c == "| `test/test_c.py` | 1 of 1 |  |"
