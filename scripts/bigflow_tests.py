"""Run BigFlow's own tests against bigflow-backend.

    git clone --branch 1.11.3 https://github.com/allegro/bigflow
    python scripts/bigflow_tests.py bigflow [MODULE ...]

Run it with a Python that has bigflow-backend[build], and what the tests import: dill, freezegun,
pexpect. It copies the tests, without the package `bigflow` beside them. It runs each module in a
process of its own, and prints a table in Markdown. docs/how-to/migration.md has the results.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

_SECONDS = 900
_LONGEST_REASON = 100

_STAND_INS = '''
"""Internal names that a test module imports, though few of its tests use them."""

import sys
import types

import bigflow.configuration
import bigflow.workflow

bigflow.workflow.WorkflowJob = None
for name in ("bigflow.bigquery", "bigflow.bigquery.dataset_configuration"):
    module = sys.modules[name] = types.ModuleType(name)
    module.DatasetConfig = bigflow.configuration.DatasetConfig
'''


@dataclass(frozen=True)
class Outcome:
    """The result of one module."""

    tests: int
    failed: int
    reasons: Counter[str]

    def __str__(self) -> str:
        passed = f"{self.tests - self.failed} of {self.tests}" if self.tests else "0"
        reasons = "; ".join(
            f"{number} x {reason}" if number > 1 else reason
            for reason, number in self.reasons.most_common()
        )
        return f"{passed} | {reasons.replace('|', chr(92) + '|')}"


def main() -> int:
    """Print a line for each module. Return 0 if all modules pass, 1 if one does not."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sources", type=Path, help="the sources of BigFlow, with test/")
    parser.add_argument("modules", nargs="*", help="such as test/test_konfig.py; all by default")
    options = parser.parse_args()
    _check_package()
    with tempfile.TemporaryDirectory(prefix="bigflow-tests-") as temporary:
        root = Path(temporary) / "bigflow-sources"
        shutil.copytree(
            options.sources,
            root,
            ignore=lambda directory, _names: (
                {"bigflow", ".git"} if Path(directory) == options.sources else ()
            ),
        )
        modules = options.modules or sorted(
            str(path.relative_to(root))
            for path in (root / "test").rglob("test_*.py")
            if "bf-projects" not in path.parts and "example_project" not in path.parts
        )
        print("| module | tests that pass | why the others fail |\n|---|---|---|")
        failed = False
        for module in modules:
            outcome = _run(root, module)
            failed = failed or bool(outcome.failed or outcome.reasons)
            print(f"| `{module}` | {outcome} |", flush=True)
    return int(failed)


def _check_package() -> None:
    try:
        import bigflow.absent
    except ModuleNotFoundError as error:
        raise SystemExit(
            f"{sys.executable} has no bigflow-backend, or BigFlow 1.x has overwritten it: {error}"
        ) from error
    del bigflow


def _run(root: Path, module: str) -> Outcome:
    settings = root.parent / "pytest.ini"
    settings.write_text("[pytest]\n")
    (root.parent / "stand_ins_of_bigflow.py").write_text(_STAND_INS)
    report = root.parent / "report.xml"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "--noconftest", "-p", "stand_ins_of_bigflow"]
    command += ["-p", "no:cacheprovider", f"--rootdir={root}", f"-c{settings}"]
    command += [f"--junit-xml={report}", module]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (root, root.parent))),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    try:
        subprocess.run(
            command,
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome(0, 0, Counter([f"no end after {_SECONDS} s"]))
    if not report.exists():
        return Outcome(0, 0, Counter(["pytest wrote no report"]))
    cases = list(ET.parse(report).getroot().iter("testcase"))
    errors = [error for case in cases for error in (*case.iter("failure"), *case.iter("error"))]
    return Outcome(len(cases), len(errors), Counter(map(_reason, errors)))


def _reason(error: ET.Element) -> str:
    """Return the last line of an error, such as ``ImportError: ...``."""
    lines = [line[2:].strip() for line in (error.text or "").splitlines() if line.startswith("E ")]
    line = next((line for line in lines if line), error.get("message", ""))
    if "during collection" in error.get("message", "") or "collection failure" in line:
        line = lines[-1] if lines else line
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}..."


if __name__ == "__main__":
    sys.exit(main())
