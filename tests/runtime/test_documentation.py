"""The examples of the pages about workflows run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow.cli import _parser
from support.runtime import write_files

if TYPE_CHECKING:
    import pytest

_DOCS = Path(__file__).parents[2] / "docs"
TEXT = "".join(
    (_DOCS / page).read_text("utf-8") for page in ("how-to/workflows.md", "reference/runtime.md")
)


def section(title: str) -> str:
    return re.split(r"\n#+ ", TEXT.partition(f"# {title}\n")[2])[0]


def test_the_examples_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_files(tmp_path, {"resources/stations.csv": "", "project_setup.py": ""})
    names: dict[str, Any] = {"__file__": str(tmp_path / "project_package/workflow.py")}
    for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(block, names)
    assert names["stations"] == tmp_path / "resources/stations.csv"
    names["diamond"].run("2026-01-01")
    assert capsys.readouterr().out.splitlines() == [
        *["loading the day that starts at 2026-01-01 00:00:00"] * 3,
        "reporting 2026-01-01 in None",
    ]
    assert names["weekly"].start_time_factory is names["a_week_before"]


def test_the_options_are_those_of_the_command() -> None:
    rows = [row for row in section("Running").splitlines() if row.startswith("| `-")]
    documented = {re.findall(r"--([\w-]+)", row)[0].replace("-", "_") for row in rows}
    options = vars(_parser().parse_args(["run", "-j", "a.b"]))
    assert documented == options.keys() - {"command", "verbose", "version"}
