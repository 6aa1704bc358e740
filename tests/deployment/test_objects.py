"""Deployments into object stores: real libraries, and emulators of the stores."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import threading
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.deployment.act import Project, deploying
from bigflow_backend.deployment.deploy import earlier_deployment, live_part
from bigflow_backend.deployment.folder import open_folder
from bigflow_backend.ground.errors import UserError
from support.deployments import Deployer
from support.descriptions import DagProject, workflow
from support.object_stores import s3_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.object_stores import ObjectStore

pytestmark = pytest.mark.slow


def flow(name: str = "w") -> Any:
    return workflow(name, start_date="2026-01-01T00:00:00+00:00")


@pytest.fixture
def deployer(object_store: ObjectStore, tmp_path: Path) -> Deployer:
    folder = open_folder(object_store.new_bucket(), tmp_path)
    return Deployer(DagProject.make(tmp_path / "project"), Project(folder, "pipelines"))


def test_a_file_is_written_read_and_removed(deployer: Deployer) -> None:
    folder = deployer.place.folder
    assert (folder.read("a/b", 10), folder.names("a")) == (None, [])
    for content in (b"first", b"second", b""):
        folder.write("a/b", content)
        assert (folder.read("a/b", 10), folder.names("a")) == (content, ["b"])
    folder.write("a/c/d", b"below")
    assert folder.names("a") == ["b"]
    folder.write("a/b", b"12345678901")
    with pytest.raises(UserError, match="is too large"):
        folder.read("a/b", 10)
    for _ in range(2):
        folder.remove("a/b")
        assert folder.read("a/b", 10) is None


def test_the_next_version_and_a_rollback(deployer: Deployer) -> None:
    deployer.place.folder.write("pipelines/other.py", b"other")
    deployer.deploy(deployer.build("1.0.0", flow()))
    second = deployer.build("1.1.0", flow())
    deployer.deploy(second)
    assert deployer.deploy(second).is_empty
    earlier = earlier_deployment(deployer.place, None)
    plan = deployer.deploy(live_part(earlier.manifest), action="rollback")
    assert deployer.live() == {**plan.next.texts, "other.py": "other"}
    assert [one.manifest.version for one in deployer.place.history()] == ["1.0.0", "1.1.0", "1.0.0"]
    with deploying(deployer.place, wait=0, say=print), pytest.raises(UserError, match="deploying"):
        deployer.deploy(second)
    deployer.place.folder.write(f"pipelines/{min(plan.next.texts)}", b"changed")
    with pytest.raises(UserError, match="is not as this project has deployed it"):
        deployer.deploy(second)


class DeadError(BaseException):
    """The end of a process: it changes nothing any more, except its lock."""


def test_a_failure_before_each_change_is_finished(
    deployer: Deployer, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployer.deploy(deployer.build("1.0.0", flow()))
    for changes in range(30):
        new = deployer.build(f"1.1.{changes}", flow())
        folder = open_folder(deployer.place.folder.url, deployer.project.root)
        left = iter(range(changes))
        for name in ("write", "remove"):
            monkeypatch.setattr(folder, name, _counted(getattr(folder, name), left))
        place = Project(folder, "pipelines")
        with contextlib.suppress(DeadError):
            Deployer(deployer.project, place).deploy(new)
        if next(left, None) is not None:
            break
        deployer.deploy(new)
        current = deployer.place.current()
        assert current is not None
        assert deployer.place.interrupted() is None
        assert (current.manifest.version, deployer.live()) == (f"1.1.{changes}", current.texts)
    else:
        pytest.fail("no deployment ended")
    assert {line.partition(" ")[0] for line in deployer.said} == {"finished", "dropped"}


def _counted(change: Callable[..., None], left: Iterator[int]) -> Callable[..., None]:
    def call(path: str, *content: bytes) -> None:
        if "/locks/" not in path and next(left, None) is None:
            raise DeadError
        change(path, *content)

    return call


def test_a_bucket_that_fails_every_third_request(
    s3_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _flaky(s3_store.address, every=3) as address:
        for name, value in s3_environment(address).items():
            monkeypatch.setenv(name, value)
        folder = open_folder(s3_store.new_bucket(), tmp_path)
        deployer = Deployer(DagProject.make(tmp_path / "project"), Project(folder, "pipelines"))
        plan = deployer.deploy(deployer.build("1.0.0", flow()))
        assert deployer.live() == plan.next.texts
        assert not deployer.said


def test_a_bucket_that_fails_always_is_one_error(
    s3_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _flaky(s3_store.address, every=1) as address:
        for name, value in s3_environment(address).items():
            monkeypatch.setenv(name, value)
        folder = open_folder("s3://bucket/dags", tmp_path)
        with pytest.raises(UserError) as caught:
            folder.read("a", 1)
    assert caught.value.message.startswith("s3://bucket/dags: ")
    assert "\n" not in caught.value.message + caught.value.hint


def test_a_bucket_that_does_not_exist(object_store: ObjectStore, tmp_path: Path) -> None:
    folder = open_folder(f"{object_store.scheme}://missing-bucket/dags", tmp_path)
    with pytest.raises(UserError) as caught:
        folder.write("a", b"x")
    assert caught.value.message.startswith(f"{object_store.scheme}://missing-bucket/dags: ")


@contextlib.contextmanager
def _flaky(address: str, *, every: int) -> Iterator[str]:
    """A proxy that answers every n-th request with 503 (Slow Down), as a busy store does."""
    counter = iter(range(1, 1 << 30))

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if next(counter) % every == 0:
                self._answer(503, {}, b"<Error><Code>SlowDown</Code></Error>")
                return
            server = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60)
            with contextlib.closing(server):
                server.request(self.command, self.path, body, dict(self.headers))
                response = server.getresponse()
                headers = dict(response.getheaders())
                self._answer(response.status, headers, response.read())

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in {"content-length", "connection", "date", "server"}:
                    self.send_header(name, value)
            length = headers.get("Content-Length") if self.command == "HEAD" else str(len(body))
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            self.wfile.write(body if self.command != "HEAD" else b"")

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass  # noqa: N815

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
