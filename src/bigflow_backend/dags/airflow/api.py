"""The REST API of a running Airflow -> the runs that a retired DAG still has.

Version 1 is that of Airflow 2, version 2 that of Airflow 3.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import quote, urlsplit

from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.documents import DocumentError, parse_json, typed
from bigflow_backend.ground.foreign.text import system_reason
from bigflow_backend.ground.limits import DOCUMENT

if TYPE_CHECKING:
    from bigflow_backend.ground.foreign.http import Session

TOKEN, USER, PASSWORD = (f"BIGFLOW_AIRFLOW_{name}" for name in ("TOKEN", "USER", "PASSWORD"))
_SECONDS = 120
_OK, _CREATED, _NOT_FOUND = 200, 201, 404
_REFUSED = (401, 403)


class _Runs(TypedDict):
    total_entries: int


class _Token(TypedDict):
    access_token: str


@dataclass(frozen=True, kw_only=True)
class Activity:
    """The state of a DAG in an Airflow."""

    runs: int
    """The number of its queued and running runs."""
    next_interval: str | None
    """The start of the data interval that it will run next."""

    @property
    def drained(self) -> bool:
        return not self.runs and self.next_interval is None


def activities(url: str, dag_ids: Iterable[str]) -> dict[str, Activity | None]:
    """Return the activity of each DAG at the Airflow ``url``, and None for an unknown DAG.

    The credentials come from the environment: a bearer token, or a user and a password.

    :raises UserError: if the Airflow does not answer, or refuses the credentials.
    """
    from bigflow_backend.ground.foreign.http import Session

    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise UserError(
            f"--airflow-url must be the address of a web server: got {url!r}",
            hint="write it as https://airflow.example.com",
        )
    with Session(deadline=time.monotonic() + _SECONDS) as session:
        session.trust_env = True
        airflow = _Airflow(url.rstrip("/"), session)
        return {dag_id: airflow.activity(dag_id) for dag_id in dag_ids}


class _Airflow:
    def __init__(self, url: str, session: Session) -> None:
        self._url = url
        self._session = session
        self._headers: dict[str, str] = {}
        self._credentials: tuple[str, str] | None = None
        # Airflow 2 answers 404 for the version of the other API.
        status, _ = self._request("GET", "/api/v2/version")
        self._version = 2 if status == _OK else 1
        self._authorize()

    def activity(self, dag_id: str) -> Activity | None:
        path = f"/api/v{self._version}/dags/{quote(dag_id, safe='')}"
        status, dag = self._request("GET", path)
        if status == _NOT_FOUND:
            return None
        found = self._checked(status, dag, dict[str, Any])
        query = "?state=queued&state=running&limit=1"
        runs = self._checked(*self._request("GET", f"{path}/dagRuns{query}"), _Runs)
        key = "next_dagrun" if self._version == 1 else "next_dagrun_logical_date"
        return Activity(runs=runs["total_entries"], next_interval=found.get(key))

    def _authorize(self) -> None:
        token, user = os.environ.get(TOKEN), os.environ.get(USER)
        password = os.environ.get(PASSWORD, "")
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        elif user and self._version == 1:
            self._credentials = (user, password)
        elif user:
            body = {"username": user, "password": password}
            answer = self._request("POST", "/auth/token", json=body)
            given = self._checked(*answer, _Token)
            self._headers["Authorization"] = f"Bearer {given['access_token']}"

    def _request(self, method: str, path: str, **request: Any) -> tuple[int, bytes]:
        import requests
        import urllib3

        try:
            with self._session.request(
                method,
                self._url + path,
                headers=self._headers,
                auth=self._credentials,
                timeout=_SECONDS,
                allow_redirects=False,
                **request,
            ) as response:
                body = response.raw.read(DOCUMENT + 1, decode_content=True)
                return response.status_code, bytes(body)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise UserError(
                f"Airflow at {self._url} does not answer: {system_reason(error)}",
                hint="check --airflow-url, and the network",
            ) from error

    def _checked(self, status: int, body: bytes, kind: type[Any]) -> Any:
        """Return the document of a response.

        :raises UserError: if it is an error, or another document.
        """
        if status in _REFUSED:
            raise UserError(
                f"Airflow at {self._url} refuses the credentials: HTTP status {status}",
                hint=f"set {TOKEN}; or {USER} and {PASSWORD}",
            )
        wrong = f"is HTTP status {status}"
        if status in {_OK, _CREATED}:
            try:
                return typed(parse_json(body), kind)
            except DocumentError as error:
                wrong = str(error)
        raise UserError(
            f"the answer of Airflow at {self._url} {wrong}",
            hint="check --airflow-url: it is the address of Airflow's web page",
        )
