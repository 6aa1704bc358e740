"""Deployments into a directory: the live files, the files of others, and what a failure leaves."""

from __future__ import annotations

import json
import os
import sys
import threading
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.deployment.act import Project, deploying
from bigflow_backend.deployment.deploy import earlier_deployment, live_part
from bigflow_backend.deployment.directory import DirectoryFolder
from bigflow_backend.deployment.folder import open_folder
from bigflow_backend.deployment.lock import holder
from bigflow_backend.ground.errors import UserError
from support.deployments import Deployer, Watched, killed_deployment
from support.descriptions import workflow
from support.small_disk import filled, small_disk

if TYPE_CHECKING:
    from pathlib import Path

STABLE = 'dag-id = "workflow"'


@pytest.fixture
def deployer(tmp_path: Path) -> Deployer:
    return Deployer.make(tmp_path)


def flow(name: str = "w", **fields: Any) -> Any:
    fields = {"start_date": "2026-01-01T00:00:00+00:00", "start_from": "start_date", **fields}
    return workflow(name, **fields)


def root(deployer: Deployer) -> Path:
    return deployer.project.root.parent / "dags"


def refused(deployer: Deployer, manifest: Any) -> UserError:
    before = deployer.live()
    with pytest.raises(UserError) as caught:
        deployer.deploy(manifest)
    assert deployer.live() == before
    assert caught.value.hint
    return caught.value


def test_a_first_deployment_is_as_built(deployer: Deployer) -> None:
    manifest = deployer.build("1.0.0", flow())
    plan = deployer.deploy(manifest)
    assert deployer.live() == {dag.file: dag.source for dag in manifest.dags}
    assert list(plan.new) == [dag.file for dag in manifest.dags]
    current = deployer.place.current()
    assert current is not None
    assert (current.manifest.version, current.by.partition("@")[1]) == ("1.0.0", "@")
    assert deployer.place.interrupted() is None
    assert holder(deployer.place.folder, "pipelines") is None


def test_a_second_deployment_of_the_same_changes_nothing(deployer: Deployer) -> None:
    manifest = deployer.build("1.0.0", flow())
    deployer.deploy(manifest)
    assert deployer.deploy(manifest).is_empty
    assert len(list(deployer.place.history())) == 1


def test_the_old_version_retires(deployer: Deployer) -> None:
    """The build does not know what is deployed: the deployment moves the start of the new DAG."""
    old = deployer.build("1.0.0", flow())
    deployer.deploy(old)
    new = deployer.build("1.1.0", flow())
    plan = deployer.deploy(new)
    assert plan.retired == (old.dags[0].file,)
    live, retired = plan.next.manifest.dags
    assert retired.retired is not None
    assert retired.retired.end_date is not None
    assert live.start > retired.retired.end_date > old.dags[0].start
    texts = deployer.live()
    assert f"{live.start:%Y, %-m, %-d}" in texts[live.file]
    assert "is_paused_upon_creation = False" in texts[live.file]
    assert "Retired by version 1.1.0" in texts[retired.file]
    assert deployer.deploy(new).is_empty


def test_a_build_that_knows_what_is_deployed_stays_as_it_is(deployer: Deployer) -> None:
    deployer.deploy(deployer.build("1.0.0", flow()))
    later = datetime.now(timezone.utc) + timedelta(minutes=10)
    new = deployer.build("1.1.0", flow(), takeover=later)
    plan = deployer.deploy(new)
    assert plan.next.manifest.dags == new.dags
    assert len(plan.retired) == 1


def test_a_build_for_an_earlier_time_is_refused(deployer: Deployer) -> None:
    deployer.deploy(deployer.build("1.0.0", flow()))
    new = deployer.build("1.1.0", flow(), takeover=datetime(2026, 1, 10, tzinfo=timezone.utc))
    error = refused(deployer, new)
    assert "had to be deployed before 2026-01-11 00:00 UTC" in error.message


def test_a_dag_with_one_id_is_replaced(tmp_path: Path) -> None:
    deployer = Deployer.make(tmp_path, STABLE)
    deployer.deploy(deployer.build("1.0.0", flow()))
    plan = deployer.deploy(deployer.build("1.1.0", flow()))
    assert (plan.changed, plan.new, plan.retired) == (("w_dag.py",), (), ())


def test_a_workflow_that_is_gone_retires(tmp_path: Path) -> None:
    deployer = Deployer.make(tmp_path, STABLE)
    deployer.deploy(deployer.build("1.0.0", flow("a"), flow("b")))
    plan = deployer.deploy(deployer.build("1.1.0", flow("a")))
    assert plan.retired == ("b_dag.py",)


def test_a_build_of_one_workflow_leaves_the_others(tmp_path: Path) -> None:
    deployer = Deployer.make(tmp_path, STABLE)
    deployer.deploy(deployer.build("1.0.0", flow("a"), flow("b")))
    plan = deployer.deploy(deployer.build("1.1.0", flow("a"), only=["a"]))
    assert (plan.changed, plan.unchanged, plan.retired) == (("a_dag.py",), ("b_dag.py",), ())


def test_a_rollback_is_a_new_dag_of_the_old_version(deployer: Deployer) -> None:
    """Its id is new, so neither of the two versions processes an interval of the other."""
    deployer.deploy(deployer.build("1.0.0", flow()))
    deployer.deploy(deployer.build("1.1.0", flow()))
    earlier = earlier_deployment(deployer.place, None)
    plan = deployer.deploy(live_part(earlier.manifest), action="rollback")
    live, *others = plan.next.manifest.dags
    assert live.version == "1.0.0"
    assert live.dag_id.startswith("w__v1_0_0__")
    assert live.dag_id not in {dag.dag_id for dag in others}
    assert all(dag.retired is not None for dag in others)
    ends = [dag.retired.end_date for dag in others if dag.retired is not None]
    assert all(end is not None and live.start > end for end in ends)
    assert [one.manifest.version for one in deployer.place.history()] == ["1.0.0", "1.1.0", "1.0.0"]
    again = deployer.deploy(live_part(earlier_deployment(deployer.place, "1.1.0").manifest))
    assert again.next.manifest.dags[0].version == "1.1.0"


def test_a_rollback_of_one_id_replaces_the_file(tmp_path: Path) -> None:
    deployer = Deployer.make(tmp_path, STABLE)
    deployer.deploy(deployer.build("1.0.0", flow()))
    first = deployer.live()
    deployer.deploy(deployer.build("1.1.0", flow()))
    earlier = earlier_deployment(deployer.place, "1.0.0")
    deployer.deploy(live_part(earlier.manifest), action="rollback")
    assert deployer.live() == first


@pytest.mark.parametrize("version", [None, "9.9"])
def test_a_rollback_to_nothing_is_refused(deployer: Deployer, version: str | None) -> None:
    deployer.deploy(deployer.build("1.0.0", flow()))
    with pytest.raises(UserError) as caught:
        earlier_deployment(deployer.place, version)
    assert "has no" in caught.value.message


def test_files_of_others_stay(deployer: Deployer) -> None:
    (root(deployer) / "other_dag.py").write_text("other")
    deployer.deploy(deployer.build("1.0.0", flow()))
    (root(deployer) / "pipelines" / "beside.py").write_text("beside")
    deployer.deploy(deployer.build("1.1.0", flow()))
    assert (root(deployer) / "other_dag.py").read_text() == "other"
    assert deployer.live()["beside.py"] == "beside"


def test_a_file_that_somebody_changed_is_refused(deployer: Deployer) -> None:
    manifest = deployer.build("1.0.0", flow())
    deployer.deploy(manifest)
    file = root(deployer) / "pipelines" / manifest.dags[0].file
    file.write_text("changed")
    error = refused(deployer, deployer.build("1.1.0", flow()))
    assert file.name in error.message
    file.unlink()  # as the hint says
    deployer.deploy(deployer.build("1.1.0", flow()))
    assert file.name in deployer.live()


@pytest.mark.parametrize("place", ["", "pipelines"])
def test_a_file_of_somebody_else_with_our_name_is_refused(deployer: Deployer, place: str) -> None:
    manifest = deployer.build("1.0.0", flow())
    file = root(deployer) / place / manifest.dags[0].file
    file.parent.mkdir(exist_ok=True)
    file.write_text("of somebody else")
    assert file.name in refused(deployer, manifest).message
    assert file.read_text() == "of somebody else"


def test_a_link_of_somebody_else_is_refused(deployer: Deployer, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (root(deployer) / "pipelines").symlink_to(tmp_path / "elsewhere")
    assert "is not the directory" in refused(deployer, deployer.build("1.0.0", flow())).message
    assert not list((tmp_path / "elsewhere").iterdir())


def test_files_in_a_directory_that_exists_are_replaced_one_by_one(deployer: Deployer) -> None:
    (root(deployer) / "pipelines").mkdir()
    deployer.deploy(deployer.build("1.0.0", flow()))
    deployer.deploy(deployer.build("1.1.0", flow()))
    current = deployer.place.current()
    assert current is not None
    assert deployer.live() == current.texts


@pytest.mark.slow
def test_a_kill_before_each_change_leaves_one_version(deployer: Deployer) -> None:
    """The files are those of one version. The next deployment finishes or drops the other one."""
    deployer.deploy(deployer.build("1.0.0", flow()))
    first = deployer.live()
    outcomes = set()
    for changes in range(30):
        new = deployer.build(f"1.1.{changes}", flow())
        before = deployer.live()
        if not killed_deployment(deployer, new, changes):
            break
        live = deployer.live()
        assert live == before or any(f"v1_1_{changes}__" in name for name in live)
        deployer.said.clear()
        deployer.deploy(new)
        outcomes |= {line.partition(" ")[0] for line in deployer.said}
        assert deployer.place.interrupted() is None
        current = deployer.place.current()
        assert current is not None
        assert (current.manifest.version, deployer.live()) == (f"1.1.{changes}", current.texts)
        assert set(first) <= set(deployer.live())
    else:
        pytest.fail("no deployment ended")
    assert outcomes == {"finished", "dropped"}


def test_the_state_says_what_is_under_way(deployer: Deployer) -> None:
    """The last change of a deployment removes its lock, the one before its journal."""
    manifest = deployer.build("1.0.0", flow())
    assert killed_deployment(deployer, manifest, 4)
    begun = deployer.place.interrupted()
    assert begun is not None
    assert begun.manifest.version == "1.0.0"
    assert holder(deployer.place.folder, "pipelines") is None  # it is dead


def test_an_error_says_that_the_next_deployment_finishes_this_one(deployer: Deployer) -> None:
    manifest = deployer.build("1.0.0", flow())

    def fail(path: str) -> None:
        if path.endswith("current.json"):
            raise UserError("the network is down", hint="check it")

    place = Project(Watched(deployer.place.folder, fail), "pipelines")
    with pytest.raises(UserError) as caught:
        Deployer(deployer.project, place).deploy(manifest)
    assert caught.value.hint.startswith("check it; then deploy again")
    deployer.deploy(manifest)
    assert deployer.said[0].startswith("finished the deployment of 1.0.0")


@pytest.mark.parametrize(
    ("scheme", "module"), [("gs", "gcsfs.core"), ("s3", "s3fs"), ("az", "adlfs")]
)
def test_a_missing_library_is_one_error(
    scheme: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError) as caught:
        open_folder(f"{scheme}://bucket/dags", tmp_path)
    assert module.partition(".")[0] in caught.value.message
    assert caught.value.hint.startswith("pip install 'bigflow-backend[deploy-")


def test_a_second_deployment_is_refused_while_one_is_under_way(deployer: Deployer) -> None:
    manifest = deployer.build("1.0.0", flow())
    with deploying(deployer.place, wait=0, say=print):
        error = refused(deployer, manifest)
        assert "@" in error.message
        assert " UTC" in error.message
    deployer.deploy(manifest)


def test_a_second_deployment_waits(deployer: Deployer) -> None:
    manifest = deployer.build("1.0.0", flow())
    has_begun = threading.Event()
    place = Project(Watched(deployer.place.folder, lambda _path: has_begun.set()), "pipelines")
    second = Deployer(deployer.project, place)
    thread = threading.Thread(target=second.deploy, args=(manifest,), kwargs={"wait": 600})
    with deploying(deployer.place, wait=0, say=print):
        thread.start()
        assert has_begun.wait(600)
        assert deployer.place.current() is None
    thread.join()
    assert deployer.place.current() is not None


def test_of_two_at_once_one_deploys(deployer: Deployer) -> None:
    manifest = deployer.build("1.0.0", flow())
    both = threading.Barrier(2)
    errors: list[UserError] = []

    def deploy() -> None:
        first = True

        def meet(_path: str) -> None:
            nonlocal first
            if first:
                first = False
                both.wait()

        place = Project(Watched(deployer.place.folder, meet), "pipelines")
        try:
            Deployer(deployer.project, place).deploy(manifest)
        except UserError as error:
            errors.append(error)

    threads = [threading.Thread(target=deploy) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # The second one may come so late that the first one has ended.
    assert len(errors) < 2
    assert len(list(deployer.place.history())) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"files": {"../x.py": ""}}, "has other files than its manifest"),
        ({"schema": 2}, "has the schema 2"),
        ({"previous": "../x"}, "is not the id of a deployment"),
        ({"id": "20260101T000000Z-00000000"}, "is the document of another deployment"),
        ({"when": "yesterday"}, "yesterday"),
    ],
)
def test_a_document_that_somebody_changed_is_refused(
    deployer: Deployer, change: dict[str, Any], message: str
) -> None:
    manifest = deployer.build("1.0.0", flow())
    deployer.deploy(manifest)
    (path,) = (root(deployer) / ".bigflow/state/pipelines").glob("2*.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    error = refused(deployer, manifest)
    assert message in error.message
    assert path.name in error.message


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
def test_a_full_disk_leaves_the_deployment_before(tmp_path: Path) -> None:
    """The space ends at each step in turn. With space, the next deployment succeeds."""
    deployer = Deployer.make(tmp_path / "elsewhere")
    place = tmp_path / "disk"
    with small_disk(place, "256k"):
        deployer = Deployer(deployer.project, Project(DirectoryFolder(place), "pipelines"))
        deployer.deploy(deployer.build("1.0.0", flow()))
        new = deployer.build("1.1.0", flow())
        for free in range(0, 40, 4):
            before = deployer.live()
            with filled(place, free=free << 10):
                try:
                    deployer.deploy(new)
                except UserError as error:
                    assert "No space left on device" in error.message  # noqa: PT017
                    assert deployer.live() in (before, texts(deployer))
                else:
                    break
        else:
            pytest.fail("the deployment never had enough space")
        deployer.deploy(new)
        assert deployer.place.interrupted() is None
        assert deployer.live() == texts(deployer)


def texts(deployer: Deployer) -> dict[str, str]:
    found = deployer.place.interrupted() or deployer.place.current()
    assert found is not None
    return dict(found.texts)
