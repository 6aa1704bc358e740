"""``bigflow dags``, and the Airflow that it asks."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from bigflow_backend.dags.airflow.api import PASSWORD, TOKEN, USER, Activity, activities
from bigflow_backend.ground.errors import UserError
from support.flows import START

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.flows import Flows


class Server(ThreadingHTTPServer):
    """The part of Airflow's API that we use. ``answers`` has a status and a body by path."""

    answers: dict[str, tuple[int, Any]]
    requests: list[tuple[str, str | None, bytes]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((self.path, self.headers.get("Authorization"), body))
        path = urlsplit(self.path).path
        status, answer = self.server.answers.get(path, (404, {}))
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in (TOKEN, USER, PASSWORD):
        monkeypatch.delenv(name, raising=False)
    with Server(("127.0.0.1", 0), Handler) as server:
        server.answers, server.requests = {}, []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def airflow_2(server: Server) -> None:
    server.answers |= {
        "/api/v1/dags/busy": (200, {"next_dagrun": None}),
        "/api/v1/dags/busy/dagRuns": (200, {"dag_runs": [{}], "total_entries": 2}),
        "/api/v1/dags/late": (200, {"next_dagrun": "2026-01-01T00:00:00+00:00"}),
        "/api/v1/dags/late/dagRuns": (200, {"dag_runs": [], "total_entries": 0}),
    }


def airflow_3(server: Server) -> None:
    server.answers |= {
        "/api/v2/version": (200, {"version": "3.3.2"}),
        "/auth/token": (201, {"access_token": "made"}),
        "/api/v2/dags/done": (200, {"next_dagrun_logical_date": None}),
        "/api/v2/dags/done/dagRuns": (200, {"dag_runs": [], "total_entries": 0}),
    }


def test_airflow_2(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    airflow_2(server)
    monkeypatch.setenv(USER, "ann")
    monkeypatch.setenv(PASSWORD, "pw")
    found = activities(server.url, ["busy", "late", "gone"])
    assert found == {
        "busy": Activity(runs=2, next_interval=None),
        "late": Activity(runs=0, next_interval="2026-01-01T00:00:00+00:00"),
        "gone": None,
    }
    assert [activity and activity.drained for activity in found.values()] == [False, False, None]
    basic = f"Basic {base64.b64encode(b'ann:pw').decode()}"
    assert {authorization for _, authorization, _ in server.requests[1:]} == {basic}
    assert "/api/v1/dags/busy/dagRuns?state=queued&state=running&limit=1" in [
        path for path, _, _ in server.requests
    ]


def test_airflow_3_with_a_token(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    airflow_3(server)
    monkeypatch.setenv(TOKEN, "given")
    (activity,) = activities(f"{server.url}/", ["done"]).values()
    assert activity is not None
    assert activity.drained
    assert {authorization for _, authorization, _ in server.requests[1:]} == {"Bearer given"}


def test_airflow_3_with_a_password(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    airflow_3(server)
    monkeypatch.setenv(USER, "ann")
    activities(server.url, ["done"])
    assert ("/auth/token", None, b'{"username": "ann", "password": ""}') in server.requests
    assert server.requests[-1][1] == "Bearer made"


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (401, {}, "refuses the credentials: HTTP status 401"),
        (403, {}, "refuses the credentials: HTTP status 403"),
        (500, {}, "is HTTP status 500"),
        (302, {}, "is HTTP status 302"),
        (200, b"<html>", "is not valid JSON"),
        (200, [], "must be an object"),
        (200, b"[" * 5_000_000, "longer than"),
    ],
)
def test_an_answer_that_is_not_right(server: Server, status: int, body: Any, message: str) -> None:
    server.answers["/api/v1/dags/x"] = (status, body)
    with pytest.raises(UserError, match=message):
        activities(server.url, ["x"])


def test_a_server_that_does_not_answer(server: Server) -> None:
    url = server.url.replace("127.0.0.1", "127.0.0.2")
    with pytest.raises(UserError, match="does not answer"):
        activities(url, ["x"])


@pytest.mark.parametrize("url", ["airflow.example.com", "ftp://a", "http://", ""])
def test_a_url_that_is_not_one(url: str) -> None:
    with pytest.raises(UserError, match="--airflow-url must be"):
        activities(url, ["x"])


def test_the_commands(flows: Flows, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build retires the deployed DAG, `dags` lists it, and the next build leaves it out."""
    airflow_3(server)
    monkeypatch.setenv(TOKEN, "given")
    deployed = flows.dags.rename(flows.project.root / "deployed")
    flows.build("--deployed", str(deployed), "--takeover", START, BIGFLOW_VERSION="1.3.0")
    new, old = json.loads((flows.dags / "manifest.json").read_text())["dags"]
    assert (new["retired"], old["retired"]["by"]) == (None, "1.3.0")
    assert sorted(path.name for path in flows.dags.glob("*.py")) == sorted(
        [new["file"], old["file"]]
    )

    def dags(*options: str) -> str:
        done = flows.project.run("-m", "bigflow", "dags", *options)
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    assert dags().splitlines() == [
        f"{new['dag_id']}: version 1.3.0",
        f"{old['dag_id']}: retired by 1.3.0",
    ]
    for name in (old["dag_id"],):
        server.answers[f"/api/v2/dags/{name}"] = server.answers["/api/v2/dags/done"]
        server.answers[f"/api/v2/dags/{name}/dagRuns"] = server.answers["/api/v2/dags/done/dagRuns"]
    asked = ("--airflow-url", server.url)
    assert dags("--retired", *asked) == f"{old['dag_id']}: retired by 1.3.0, no runs\n"
    (described,) = json.loads(dags("--retired", "--json", *asked))["dags"]
    assert (described["runs"], described["drained"]) == (0, True)
    again = flows.dags.rename(flows.project.root / "again")
    manifest = flows.build("--deployed", str(again / "manifest.json"), *asked)
    assert [dag["dag_id"] for dag in manifest["dags"]][1:] == [new["dag_id"]]


def test_a_takeover_in_the_past(flows: Flows) -> None:
    options = ("--deployed", str(flows.dags), "--takeover", START)
    done = flows.project.run("-m", "bigflow", "build-dags", f"--start-time={START}", *options)
    assert done.returncode == 0
    assert "--takeover is in the past: data intervals" in done.stderr


def test_options_that_need_the_deployed_dags(flows: Flows) -> None:
    assert flows.refusal("--takeover", "now") == "--takeover needs the deployed DAGs"
    assert flows.refusal("--airflow-url", "x") == "--airflow-url needs the deployed DAGs"
    assert "must be a date and time" in flows.refusal(
        "--deployed", str(flows.dags), "--takeover", "soon"
    )
    assert "cannot read" in flows.refusal("--deployed", "nowhere")
