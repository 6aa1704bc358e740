"""docs/benchmarks.md is what ``benchmarks/page.py`` makes from the results; the parts run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_BENCHMARKS = _ROOT / "benchmarks"
_DOCS = _ROOT / "docs"


def _run(*command: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        env={**os.environ, "PYTHONPATH": str(_ROOT / "tests")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_is_that_of_the_results() -> None:
    page = (_DOCS / "benchmarks.md").read_text("utf-8")
    assert page == _run(_BENCHMARKS / "page.py"), "run `make bench PARTS=page`"
    plots = re.findall(r"\]\(([^)]+\.svg)\)", page)
    assert len(plots) >= 7
    for plot in plots:
        assert (_DOCS / plot).stat().st_size < 40_000


def test_the_page_says_where_a_peer_wins(tmp_path: Path) -> None:
    """A peer that needs half of our time wins; a difference of 5 % is level."""
    text = (_BENCHMARKS / "results" / "package.json").read_text("utf-8")
    results = json.loads(text)
    costs = {"bigflow-backend": 1.0, "faster": 0.5, "level": 1.04, "slower": 4.0}
    results["rows"] = [
        {
            "what": "build_wheel",
            "case": case,
            "peer": peer,
            "cpu": [cost],
            "wall": [9],
            "sent": None,
        }
        for case in ("1", "30")
        for peer, cost in costs.items()
    ]
    (tmp_path / "package.json").write_text(json.dumps(results), "utf-8")
    page = _run(_BENCHMARKS / "page.py", tmp_path)
    sizes = "for 1 to 30 modules"
    assert f"- **faster wins** {sizes}: it needs 0.50 of the time of this project.\n" in page
    assert f"- This project and level are level {sizes}.\n" in page
    assert f"- This project needs 0.25 of the time of slower {sizes}.\n" in page
    assert "| 30 | **2.00** | 0.96 | 0.25 |\n" in page


@pytest.mark.slow
def test_the_parts_without_an_engine_run_with_small_inputs(tmp_path: Path) -> None:
    parts = ("package", "commands", "dags")
    _run(_BENCHMARKS / "bench.py", *parts, "--tiny", "--rounds=1", "--results", tmp_path)
    page = _run(_BENCHMARKS / "page.py", tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == set(parts)
    assert "## Packages: `build_wheel`" in page
    assert "bigflow project-version" in page
    assert "the time of BigFlow for 1 to 10 workflows" in page
