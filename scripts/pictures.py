"""Draw the pictures of the documentation: docs/images/*.svg, each for light and dark pages.

    python scripts/pictures.py [DIRECTORY]

Without a directory it writes into docs/images/. ``layers.json`` has the image of sample_project:
the names and the sizes that `bigflow image --json` prints.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from recording import draw_recording

from bigflow_backend.drawing.bar import Segment, draw_bar
from bigflow_backend.drawing.graph import Node, draw_graph
from bigflow_backend.drawing.svg import Picture, Theme
from bigflow_backend.ground.progress import size

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGES = Path(__file__).parents[1] / "docs/images"


def artifact(theme: Theme) -> Picture:
    """Draw what a project becomes: a wheel in an image, and DAG files that use the image."""
    picture = Picture(
        560,
        556,
        title="The artifact of a BigFlow project",
        description="bigflow build makes a wheel of project_package and resources. The image has"
        " three parts: the base image with Python, the dependencies, and the wheel."
        " Each workflow becomes a DAG file, whose tasks run pods of the image.",
        theme=theme,
    )
    picture.box(8, 8, 544, 142, radius=10)
    picture.text(24, 34, "project_dir/", "code strong")
    picture.text(536, 34, "your repository", "note", "end")
    for x, y, width, name, kind in (
        (24, 48, 252, "project_package/", "blue"),
        (284, 48, 252, "resources/", "blue"),
        (24, 94, 92, "test/", "plain"),
        (124, 94, 152, "Dockerfile", "plain"),
        (284, 94, 252, "deployment_config.py", "plain"),
    ):
        picture.box(x, y, width, 38, kind)
        picture.text(x + width / 2, y + 24, name, "code", "middle")

    picture.line("M220 150V200")
    picture.text(234, 180, "bigflow build", "code")
    picture.box(8, 204, 436, 190, "amber", radius=10)
    picture.text(24, 230, "Docker image", "strong")
    picture.text(428, 230, "…/weather-reports:1.2.0", "code", "end")
    for y, height, name, note, kind in (
        (
            244,
            56,
            "weather_reports-1.2.0-py3-none-any.whl",
            "the wheel: package, resources",
            "blue",
        ),
        (306, 36, "dependencies", "pinned, with hashes", "green"),
        (348, 36, "base image", "Python", "plain"),
    ):
        picture.box(24, y, 404, height, kind)
        code = "code" if name.endswith(".whl") else ""
        picture.text(36, y + 23, name, code)
        if code:
            picture.text(36, y + 44, note, "note")
        else:
            picture.text(416, y + 23, note, "note", "end")

    picture.line("M500 150V444")
    picture.box(8, 448, 544, 100, "violet", radius=10)
    picture.text(24, 474, "Airflow DAGs", "strong")
    picture.text(536, 474, "a file for each Workflow", "note", "end")
    for x, name in ((24, "daily_dag.py"), (284, "hourly_dag.py")):
        picture.box(x, 490, 252, 42)
        picture.text(x + 126, 516, name, "code", "middle")
    picture.line("M220 448V398", "dashed")
    picture.text(234, 426, "each task runs a pod of the image", "note")
    return picture


def execution_flow(theme: Theme) -> Picture:
    """Draw the way from a commit to a line in the log of a pod."""
    picture = Picture(
        560,
        700,
        title="The execution flow, from a commit to a job",
        description="A commit with the tag v1.2.0 is built. The image goes to the registry, the"
        " DAG files go to the DAGs folder. When a data interval ends, Airflow starts a DAG run."
        " Each task starts a pod of the image. The pod runs bigflow run, which calls the job."
        " The log and the status go back to Airflow.",
        theme=theme,
    )

    def station(x: int, y: int, width: int, kind: str, name: str, *lines: str) -> None:
        picture.box(x, y, width, 44 + 22 * len(lines), kind, radius=10)
        picture.text(x + 16, y + 27, name, "strong")
        for number, line in enumerate(lines):
            code = "note" if line.startswith(" ") else "code"
            picture.text(x + 16, y + 51 + 22 * number, line.strip(), code)

    station(8, 8, 544, "blue", "Commit", "git tag v1.2.0")
    picture.line("M280 74V104")
    station(8, 108, 544, "plain", "Build", "bigflow build", " tests, wheel, image, DAG files")
    picture.line("M140 196V246")
    picture.line("M420 196V246")
    picture.text(154, 226, "image", "note")
    picture.text(434, 226, "DAG files", "note")
    picture.text(280, 226, "bigflow deploy", "code", "middle")
    station(8, 250, 264, "amber", "Registry", "weather-reports:1.2.0")
    station(288, 250, 264, "violet", "DAGs folder", "daily_dag.py")
    picture.line("M420 316V366")
    picture.text(434, 346, "parses", "note")
    station(
        288,
        370,
        264,
        "violet",
        "Airflow",
        " a data interval ends:",
        " DAG run, tasks",
    )
    picture.line("M140 316V490")
    picture.text(154, 410, "pulls the image", "note")
    picture.line("M320 458V490")
    picture.text(334, 479, "starts", "note")
    picture.box(8, 494, 544, 198, "amber", radius=10)
    picture.text(24, 521, "Pod in the Kubernetes cluster", "strong")
    picture.text(24, 546, "python -m bigflow run --job daily.report", "code")
    picture.text(24, 568, "  --runtime '2026-01-01 00:00:00' --config prod", "code")
    picture.line("M140 578V606")
    picture.box(24, 610, 512, 66, "blue")
    picture.text(40, 637, "Your job", "strong")
    picture.text(40, 661, "Report.execute(context)", "code")
    picture.line("M500 494V462", "dashed")
    picture.text(488, 479, "log, status", "note", "end")
    return picture


def layers(theme: Theme) -> Picture:
    """Draw the layers of the image of sample_project."""
    found = json.loads((Path(__file__).parent / "layers.json").read_text("utf-8"))
    segments = [Segment(one["part"], one["created_by"], one["size"]) for one in found["layers"]]
    note = f"{size(found['size'])} compressed, {size(found['unpacked_size'])} unpacked"
    return draw_bar(found["name"], segments, note, theme)


def graph(theme: Theme) -> Picture:
    """Draw the workflow that docs/how-to/dag.md lists."""
    after: dict[str, list[str]] = {
        "load": [],
        "rain": ["load"],
        "wind": ["load"],
        "report": ["rain", "wind"],
    }
    return draw_graph("nightly", [Node(name, jobs, name) for name, jobs in after.items()], theme)


def session(theme: Theme) -> Picture:
    """Draw the recording of ``session.py``."""
    title = "A terminal: from nothing to a DAG that has run, in four commands"
    return draw_recording(Path(__file__).with_name("session.cast"), title, theme)


PICTURES: dict[str, Callable[[Theme], object]] = {
    "artifact": artifact,
    "graph": graph,
    "layers": layers,
    "session": session,
    "execution-flow": execution_flow,
}


def main(directory: Path = IMAGES) -> None:
    """Write all pictures."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, draw in PICTURES.items():
        for theme in (Theme.LIGHT, Theme.DARK):
            (directory / f"{name}-{theme.value}.svg").write_text(str(draw(theme)), "utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
