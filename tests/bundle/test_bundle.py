"""The bundle class in real Airflows, without a scheduler."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.dags.airflow.releases import airflow_release
from support.airflow import installed_airflow
from support.bundles import BUNDLE, OciDeployer, oci_deployer, with_bundle
from support.descriptions import job, workflow
from support.faulty_registry import Failure, faulty

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.airflow import Airflow
    from support.faulty_registry import FaultyRegistry
    from support.registry import Registry

pytestmark = [pytest.mark.airflow, pytest.mark.slow]
DAILY = workflow("daily", job("load"))
HOURLY = workflow("hourly", job("load"))
_PROBE = """\
import json, sys
from airflow.dag_processing.bundles.base import BundleUsageTrackingManager
from airflow.dag_processing.bundles.manager import DagBundlesManager

for version, action in json.loads(sys.argv[1]):
    bundle = DagBundlesManager().get_bundle({name!r}, version)
    error = None
    try:
        if action == "clean":
            BundleUsageTrackingManager().remove_stale_bundle_versions()
        else:
            getattr(bundle, action)()
    except Exception as problem:
        error = str(problem)
    current = bundle.get_current_version()
    files = {{f.name: f.read_text() for f in bundle.path.glob("*.py")}}
    found = [getattr(current, "version", current), files, error, str(bundle.path.resolve())]
    print("FOUND " + json.dumps(found))
"""


@dataclass(frozen=True)
class Found:
    """A bundle after an action."""

    version: str | None
    files: dict[str, str]
    error: str | None
    path: str


@dataclass(frozen=True)
class Place:
    """An Airflow whose bundle reads through a proxy that can fail."""

    airflow: Airflow
    deployer: OciDeployer
    proxy: FaultyRegistry

    def act(self, *actions: tuple[str | None, str]) -> list[Found]:
        """Run actions in one process: ``(version, method)``."""
        return self.act_and_log(*actions)[0]

    def act_and_log(self, *actions: tuple[str | None, str]) -> tuple[list[Found], str]:
        output = self.airflow.run_python(self.command(*actions)).stdout
        lines = output.splitlines()
        found = [Found(*json.loads(x.partition(" ")[2])) for x in lines if x.startswith("FOUND ")]
        return found, output

    def command(self, *actions: tuple[str | None, str]) -> list[str]:
        return ["-c", _PROBE.format(name=BUNDLE), json.dumps(actions)]

    @property
    def bundle(self) -> Path:
        return self.airflow.home / "bundles" / BUNDLE


@pytest.fixture
def place(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    path = f"bundle/{tmp_path.name.lower()}"
    airflow = installed_airflow(airflow_release("3.3.2"), tmp_path / "home")
    monkeypatch.setenv("BIGFLOW_CACHE", str(tmp_path / "cache"))
    with (
        oci_deployer(tmp_path, f"{registry.address}/{path}") as deployer,
        faulty(registry.address) as proxy,
    ):
        yield Place(with_bundle(airflow, f"{proxy.address}/{path}"), deployer, proxy)


def test_versions_beside_each_other(place: Place) -> None:
    old = place.deployer.deploy(DAILY, version="1.0.0")
    (first,) = place.act((None, "initialize"))
    new = place.deployer.deploy(DAILY, HOURLY, version="2.0.0")
    requests = len(place.proxy.requests)
    kept, now, again, unknown = place.act(
        (old, "initialize"),
        (None, "refresh"),
        (None, "refresh"),
        ("sha256:" + "0" * 64, "initialize"),
    )
    assert (first.version, sorted(first.files)) == (old, ["daily_dag.py"])
    assert (kept.version, kept.files, kept.path) == (old, first.files, first.path)
    assert (now.version, sorted(now.files)) == (new, ["daily_dag.py", "hourly_dag.py"])
    assert again == now
    assert "404" in (unknown.error or "")
    # A known version costs no request; the tag of a known one costs a HEAD.
    methods = [request.method for request in place.proxy.requests[requests:]]
    assert methods == ["HEAD", "GET", "GET", "HEAD", "GET"]


def test_a_registry_that_is_down(place: Place) -> None:
    place.proxy.failures.append(Failure("HEAD", "", status=500, times=99))
    (nothing,) = place.act((None, "initialize"))
    assert (nothing.version, nothing.files) == (None, {})
    assert "answered 500" in (nothing.error or "")
    place.proxy.failures.clear()
    pushed = place.deployer.deploy(DAILY, version="1.0.0")
    place.act((None, "initialize"))
    place.proxy.failures.append(Failure("HEAD", "", status=500, times=99))
    found, output = place.act_and_log((None, "initialize"), (None, "refresh"))
    assert [(f.version, f.error) for f in found] == [(pushed, None)] * 2
    assert output.count(f"DAG bundle {BUNDLE} stays at version {pushed}: ") == 2
    assert "Traceback" not in output


def test_damaged_and_strange_artifacts(place: Place) -> None:
    old = place.deployer.deploy(DAILY, version="1.0.0")
    place.act((None, "initialize"))
    new = place.deployer.deploy(HOURLY, version="2.0.0")
    place.proxy.failures.append(Failure("GET", "/blobs/", is_corrupt=True, times=3))
    (damaged,) = place.act((None, "refresh"))
    assert (damaged.version, damaged.error) == (old, None)
    (good,) = place.act((None, "refresh"))
    assert good.version == new
    assert sorted(p.name for p in (place.bundle / "versions").iterdir()) == sorted([old, new])
    airflow = with_bundle(place.airflow, place.deployer.repository, tag="2.0.0")
    (image,) = replace(place, airflow=airflow).act((None, "refresh"))
    assert image.version == new


def test_killed_while_it_fetches(place: Place) -> None:
    pushed = place.deployer.deploy(DAILY, version="1.0.0")
    place.proxy.failures.append(Failure("GET", "/blobs/", is_silent=True))
    airflow = place.airflow
    process = subprocess.Popen(
        [airflow.python, *place.command((None, "initialize"))],
        cwd=airflow.home,
        env=airflow.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert place.proxy.fell_silent.wait(300)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert (place.bundle / "incoming").is_dir()
    assert not (place.bundle / "versions").exists()
    (found,) = place.act((None, "initialize"))
    assert (found.version, found.error, list(found.files)) == (
        pushed,
        None,
        ["daily_dag.py"],
    )


def test_many_processes_at_once(place: Place) -> None:
    pushed = place.deployer.deploy(DAILY, HOURLY, version="1.0.0")
    airflow = place.airflow
    processes = [
        subprocess.Popen(
            [airflow.python, *place.command((version, "initialize"), (None, "refresh"))],
            cwd=airflow.home,
            env=airflow.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for version in (None, pushed, None, pushed)
    ]
    outputs = [process.communicate()[0] for process in processes]
    for output in outputs:
        found = [x for x in output.splitlines() if x.startswith("FOUND ")]
        assert len(found) == 2
        for line in found:
            version, files, error, _path = json.loads(line.removeprefix("FOUND "))
            assert (version, error) == (pushed, None)
            assert sorted(files) == ["daily_dag.py", "hourly_dag.py"]
    assert place.proxy.count("GET", "/blobs/") == 1


def test_airflow_removes_versions_that_are_not_used(place: Place) -> None:
    old = place.deployer.deploy(DAILY, version="1.0.0")
    place.act((None, "initialize"))
    new = place.deployer.deploy(HOURLY, version="2.0.0")
    limits = {
        "AIRFLOW__DAG_PROCESSOR__STALE_BUNDLE_CLEANUP_AGE_THRESHOLD": "0",
        "AIRFLOW__DAG_PROCESSOR__STALE_BUNDLE_CLEANUP_MIN_VERSIONS": "1",
    }
    cleans = replace(place, airflow=place.airflow.with_variables(**limits))
    cleaned = cleans.act((None, "refresh"), (None, "clean"))[1]
    assert (cleaned.version, cleaned.error) == (new, None)
    assert [p.name for p in (place.bundle / "versions").iterdir()] == [new]
    (fetched,) = place.act((old, "initialize"))
    assert (fetched.error, list(fetched.files)) == (None, ["daily_dag.py"])


def test_a_connection_of_airflow(registry_with_password: Registry, place: Place) -> None:
    there = registry_with_password
    login = {"conn_type": "http", "login": there.username, "password": there.password}
    image = f"{there.address}/team/absent"
    airflow = with_bundle(place.airflow, image, conn_id="registry").with_variables(
        AIRFLOW_CONN_REGISTRY=json.dumps(login)
    )
    (found,) = replace(place, airflow=airflow).act((None, "initialize"))
    assert "answered 404" in (found.error or "")
    wrong = airflow.with_variables(AIRFLOW_CONN_REGISTRY=json.dumps({**login, "password": "x-x"}))
    (found,) = replace(place, airflow=wrong).act((None, "initialize"))
    assert "answered 401" in (found.error or "")
    absent = airflow.with_variables(AIRFLOW_CONN_REGISTRY="")
    (found,) = replace(place, airflow=absent).act((None, "initialize"))
    assert "the connection 'registry' cannot be read" in (found.error or "")


@pytest.mark.parametrize(
    "options",
    [{"tag": "a/b"}, {"image": "rides"}, {"surprise": 1}],
    ids=["tag", "image", "name"],
)
def test_wrong_configurations(place: Place, options: dict[str, Any]) -> None:
    options = {"image": place.deployer.repository, **options}
    done = with_bundle(place.airflow, **options).run_python(
        place.command((None, "initialize")), check=False
    )
    assert done.returncode
    assert ("must be like" in done.stdout) or ("surprise" in done.stdout)
