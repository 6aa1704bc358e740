"""Imports of modules beside the package, which every pod would miss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bigflow_backend.ground.errors import BigflowWarning
from support.projects import HookFailedError, write_project

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("import common\n", 1),
        ("\nimport common.tables as t\n", 2),
        ("from common import tables\n", 1),
        ("def f():\n    from common.tables import T\n", 2),
        ("class C:\n    import os, common\n", 2),
        ("import helper\n", 1),
    ],
)
@pytest.mark.parametrize("hook", ["build_wheel", "build_sdist"])
def test_an_import_from_outside_the_wheel_fails_the_build(
    tmp_path: Path, code: str, line: int, hook: str
) -> None:
    project = write_project(
        tmp_path / "project",
        {
            "pipelines/load.py": code,
            "common/__init__.py": "",
            "common/tables.py": "",
            "helper.py": "",
        },
    )
    with pytest.raises(HookFailedError) as caught:
        project.hook(hook, str(tmp_path))
    name = "helper" if "helper" in code else "common"
    message, hint = caught.value.lines
    assert message == (
        f"bigflow: error: pipelines/load.py, line {line} imports {name}, which is beside "
        "pipelines/ and not in the wheel"
    )
    advice = "" if name == "helper" else ', or write packages = ["pipelines", "common"] into'
    assert hint.startswith(f"  move it into pipelines/{advice}")


@pytest.mark.parametrize(
    "code",
    [
        "from pipelines import common\n",
        "from . import common\n",
        "from .common import T\n",
        "try:\n    import common\nexcept ImportError:\n    common = None\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import common\n",
        "text = 'import common'\n",
        "import commoner\n",
    ],
)
def test_other_imports_are_allowed(tmp_path: Path, code: str) -> None:
    project = write_project(
        tmp_path / "project",
        {
            "pipelines/load.py": code,
            "pipelines/common.py": "T = 1\n",
            "common/__init__.py": "",
            "notebooks/plot.py": "",
        },
    )
    with pytest.warns(BigflowWarning, match="not in the wheel, and without DAGs: common/ beside"):
        assert project.hook("build_wheel", str(tmp_path)).endswith(".whl")


def test_listed_packages_are_in_the_wheel(tmp_path: Path) -> None:
    project = write_project(
        tmp_path / "project",
        {
            "pipelines/load.py": "import common\n",
            "common/__init__.py": "",
            "pyproject.toml": '[build-system]\nrequires = ["bigflow-backend"]\n'
            'build-backend = "bigflow_backend"\n'
            '[tool.bigflow]\npackages = ["pipelines", "common"]\n',
        },
    )
    assert project.hook("build_wheel", str(tmp_path)).endswith(".whl")
