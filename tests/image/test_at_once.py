"""Several builds of one project at the same time: each comes out whole, and none is disturbed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.images import read_image

if TYPE_CHECKING:
    from support.layered import LayeredProject

_TESTS = Path(__file__).parents[1]
# Each has a wheel of its own, as the command does: dist/ is not what is looked at here.
_CHILD = """\
import json, pathlib, re, sys
from bigflow_backend.ground.errors import UserError
from support import layered

root, base, wheels, name, options = sys.argv[1:]
make_wheel = layered.make_wheel
layered.make_wheel = lambda directory, *arguments, **more: make_wheel(
    directory / name, *arguments, **more
)
project = layered.LayeredProject(pathlib.Path(root), base, pathlib.Path(wheels))
made = {}
for number in range(3):
    try:
        image = project.build(
            files={"demo/__init__.py": f"{name} {number}"},
            version=f"1.{number}", **json.loads(options),
        )
        made[image.id] = f"{name} {number}"
    except UserError as error:
        # An engine has one image of a name, and what is saved must be ours; it may be gone.
        assert re.search("another build has given|the Docker Engine failed", error.message), error
print(json.dumps(made))
"""


@pytest.mark.parametrize(
    "builder", ["layered", pytest.param("engine", marks=[pytest.mark.engine, pytest.mark.slow])]
)
def test_builds_of_one_project(
    layered_project: LayeredProject, builder: str, request: pytest.FixtureRequest
) -> None:
    project = layered_project
    if builder == "engine":
        request.getfixturevalue("engine_project")
    options = {"export_tar": True}
    if builder == "engine":
        options = {**project.options, **options}
    children = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                _CHILD,
                project.root,
                project.base,
                project.wheels,
                name,
                json.dumps(options),
            ],
            env={**os.environ, "PYTHONPATH": str(_TESTS)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two", "three")
    ]
    made: dict[str, str] = {}
    for child in children:
        out, err = child.communicate()
        assert (err, child.returncode) == ("", 0), err
        made |= json.loads(out)
    directory = project.root / ".image"
    # One of them was the last; what is there is all of the same.
    (path,) = directory.glob("imageinfo-*.json")
    info = json.loads(path.read_text())
    tar = directory / f"image-{info['version']}.tar"
    stem = f"image-{info['version']}"
    documents = {directory / f"{stem}.cdx.json", directory / f"{stem}.provenance.json"}
    assert set(directory.iterdir()) == {path, tar, directory / ".gitignore", *documents}
    modules = {
        file.content
        for name, file in read_image(tar).files.items()
        if name.endswith("/demo/__init__.py")
    }
    assert modules == {made[info["id"]].encode()}
    assert [p.name for p in project.root.iterdir() if p.name.startswith(".image")] == [".image"]
