"""The runner sees what it has to see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hostile.runner import attempt

if TYPE_CHECKING:
    from hostile.runner import Scratch

_CONFIG = """\
from bigflow.configuration import DeploymentConfig
{statement}
deployment_config = DeploymentConfig(name='dev', properties={{'docker_repository': 'x.test/demo'}})
"""
# Without its supervisor, nobody ends it.
_DAEMON = (
    "import os, subprocess; os.kill(os.getppid(), 9);"
    " subprocess.Popen(['sleep', '60'], stdout=-3, start_new_session=True)"
)


def _state(scratch: Scratch, statement: str) -> None:
    path = scratch.project / "deployment_config.py"
    path.write_text(_CONFIG.format(statement=statement), "utf-8")


def test_a_good_project_succeeds(scratch: Scratch) -> None:
    outcome = attempt(scratch, "build", *scratch.image_arguments(), succeeds=True)
    assert outcome.peak > 10_000_000


@pytest.mark.parametrize(
    ("statement", "seen"),
    [
        ("open('../../outside/etc/passwd', 'w')", "outside the scratch directory"),
        (_DAEMON, "processes are left"),
        ("open('../tmp/left', 'w')", "temporary files are left"),
        ("import time; time.sleep(60)", "it hangs"),
        ("b = b'x' * 400_000_000", "bytes of memory"),
        ("open('new', 'w'); raise SystemExit(1)", "the project was changed"),
    ],
)
def test_what_goes_wrong_is_seen(scratch: Scratch, statement: str, seen: str) -> None:
    _state(scratch, statement)
    patience = 5.0 if seen == "it hangs" else 60.0
    with pytest.raises(AssertionError, match=seen):
        attempt(scratch, "build-dags", succeeds=None, patience=patience)
