"""The API of the cluster over HTTP on loopback: paths, verbs, streams.

https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

from __future__ import annotations

import contextlib
import hmac
import json
import re
import socket
import sys
import threading
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from bigflow_backend.ground.limits import DOCUMENT
from bigflow_backend.rehearsal.api.selectors import field_selector, label_selector
from bigflow_backend.rehearsal.api.status import (
    NOT_IMPLEMENTED,
    ApiError,
    bad_request,
    not_implemented,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bigflow_backend.rehearsal.api.cluster import Cluster, Object
    from bigflow_backend.rehearsal.api.selectors import Selector

_VERSION = {"major": "1", "minor": "31", "gitVersion": "v1.31.0+bigflow", "platform": "linux/amd64"}
_PATH = re.compile(
    r"/api/v1/namespaces/(?P<namespace>[^/]+)/(?P<resource>pods|secrets|events)"
    r"(?:/(?P<name>[^/]+)(?:/(?P<subresource>[^/]+))?)?/?\Z"
)
_LISTS = {"pods": "PodList", "secrets": "SecretList", "events": "EventList"}
_STOP_POLL_SECONDS = 0.02
_MERGE_PATCHES = {"application/merge-patch+json", "application/strategic-merge-patch+json"}
_PARAMETERS = {
    "allowWatchBookmarks", "container", "fieldManager", "fieldSelector", "fieldValidation",
    "follow", "gracePeriodSeconds", "labelSelector", "pretty", "previous", "propagationPolicy",
    "resourceVersion", "resourceVersionMatch", "sinceSeconds", "tailLines", "timeoutSeconds",
    "timestamps", "watch",
}  # fmt: skip


class ApiServer(ThreadingHTTPServer):
    """A server of the cluster for clients with the token."""

    daemon_threads = False

    def __init__(self, cluster: Cluster, token: str, refuse: Callable[[str], None]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.cluster = cluster
        self.token = token
        self.refuse = refuse
        self._thread = threading.Thread(
            target=self.serve_forever, args=(_STOP_POLL_SECONDS,), name="api-server"
        )
        self._connections: set[socket.socket] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End all connections, also the waiting ones, and all threads."""
        self.shutdown()
        self._thread.join()
        for connection in tuple(self._connections):
            with contextlib.suppress(OSError):  # its thread may close it at the same time
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: a client may end its connection at any time."""
        if isinstance(sys.exc_info()[1], OSError):
            return
        super().handle_error(request, client_address)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ApiServer

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def do_PATCH(self) -> None:
        self._respond()

    def do_DELETE(self) -> None:
        self._respond()

    def do_PUT(self) -> None:
        self._respond()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class has this name
        """Print nothing: a log would hide the output of the command."""

    def _respond(self) -> None:
        url = urlsplit(self.path)
        try:
            self._authorize()
            body = self._body()
            if url.path.rstrip("/") == "/version":
                self._send_json(200, _VERSION)
            else:
                target = _target(url.path)
                self._serve(**target, parameters=_Parameters(url.query), body=_decoded(body))
        except ApiError as error:
            if error.code == NOT_IMPLEMENTED:
                self.server.refuse(str(error))
            self._send_json(error.code, error.body)
        except ConnectionError:
            self.close_connection = True

    def _authorize(self) -> None:
        given = self.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.server.token}".encode()):
            self.close_connection = True  # its body is not read
            raise ApiError(401, "Unauthorized", "Unauthorized")

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length") or "0"
        if not length.isdecimal() or int(length) > DOCUMENT:
            self.close_connection = True
            raise ApiError(413, "RequestEntityTooLarge", f"the body has {length} bytes")
        return self.rfile.read(int(length))

    def _serve(
        self,
        *,
        namespace: str,
        resource: str,
        name: str | None,
        subresource: str | None,
        parameters: _Parameters,
        body: Any,
    ) -> None:
        cluster = self.server.cluster
        match (self.command, resource, name, subresource):
            case ("GET", "pods", str(), "log"):
                self._send_log(cluster.get("pods", namespace, name), parameters)
            case ("GET", _, str(), None):
                self._send_json(200, cluster.get(resource, namespace, name))
            case ("GET", _, None, None):
                self._send_list(namespace, resource, parameters)
            case ("POST", "pods", None, None):
                self._send_json(201, cluster.create_pod(namespace, body))
            case ("POST", "secrets", None, None):
                self._send_json(201, cluster.create_secret(namespace, body))
            case ("PATCH", "pods", str(), None):
                self._check_patch()
                self._send_json(200, cluster.patch_pod(namespace, name, body))
            case ("DELETE", "pods" | "secrets", str(), None):
                options = parameters.delete_options(body)
                self._send_json(200, cluster.delete(resource, namespace, name, options))
            case (_, _, _, str()) if subresource not in {"log", "status"}:
                raise not_implemented(f"the subresource {subresource} of {resource}")
            case _:
                raise ApiError(
                    405, "MethodNotAllowed", f"{self.command} is not allowed on {self.path}"
                )

    def _check_patch(self) -> None:
        kind = self.headers.get("Content-Type", "").partition(";")[0]
        if kind not in _MERGE_PATCHES:
            raise ApiError(415, "UnsupportedMediaType", f"{kind} is not supported here")

    def _send_list(self, namespace: str, resource: str, parameters: _Parameters) -> None:
        selector = parameters.selector()
        items, version = self.server.cluster.list(resource, namespace, selector)
        since = parameters.number("resourceVersion")
        if not parameters.flag("watch"):
            kind, meta = _LISTS[resource], {"resourceVersion": str(version)}
            self._send_json(
                200, {"kind": kind, "apiVersion": "v1", "metadata": meta, "items": items}
            )
            return
        if since:
            items, version = [], since
        timeout = parameters.number("timeoutSeconds")

        def in_namespace(found: Any) -> bool:
            return found["metadata"]["namespace"] == namespace and selector(found)

        def events() -> Iterable[Object]:
            yield from ({"type": "ADDED", "object": item} for item in items)
            changes = self.server.cluster.changes
            for change in changes.watch(resource, after=version, timeout=timeout):
                kind = change.seen_through(in_namespace)
                if kind is not None:
                    yield {"type": kind, "object": change.object}

        self._send_stream(
            "application/json", (json.dumps(event).encode() + b"\n" for event in events())
        )

    def _send_log(self, pod: Object, parameters: _Parameters) -> None:
        name, container = pod["metadata"]["name"], pod["spec"]["containers"][0]["name"]
        if parameters.text("container") not in {"", container}:
            wanted = parameters.text("container")
            raise bad_request(f"container {wanted} is not valid for pod {name}")
        if parameters.flag("previous"):
            raise bad_request(f'previous terminated container "{container}" in pod not found')
        log = self.server.cluster.log(pod["metadata"]["uid"])
        if log is None:
            raise bad_request(
                f'container "{container}" in pod "{name}" is waiting to start: ContainerCreating'
            )
        seconds, tail = parameters.number("sinceSeconds"), parameters.number("tailLines")
        now = datetime.now(timezone.utc)
        since = None if seconds is None else now - timedelta(seconds=seconds)
        stamp = parameters.flag("timestamps")
        if parameters.flag("follow"):
            parts = log.follow(since=since, tail=tail)
        else:
            parts = iter([log.read(since=since, tail=tail)])
        encoded = (b"".join(line.encoded(timestamp=stamp) for line in part) for part in parts)
        self._send_stream("text/plain", encoded)

    def _send_json(self, code: int, body: Object) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _send_stream(self, content_type: str, parts: Iterable[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in parts:
            if part:  # an empty chunk would end the stream
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")


class _Parameters:
    """The query of a request."""

    def __init__(self, query: str) -> None:
        parsed = parse_qs(query, keep_blank_values=True)
        self._values = {name: values[-1] for name, values in parsed.items()}
        if unknown := self._values.keys() - _PARAMETERS:
            raise not_implemented(f"the parameters {sorted(unknown)}")

    def text(self, name: str) -> str:
        return self._values.get(name, "")

    def flag(self, name: str) -> bool:
        """Return a boolean, as ``strconv.ParseBool`` of Go. Python's client sends ``True``."""
        return self.text(name) in {"1", "t", "T", "true", "TRUE", "True"}

    def number(self, name: str) -> int | None:
        text = self.text(name)
        if not text:
            return None
        if not text.isdecimal():
            raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax ({name})')
        return int(text)

    def delete_options(self, body: object) -> Object:
        options = dict(body) if isinstance(body, dict) else {}
        grace = self.number("gracePeriodSeconds")
        return options if grace is None else {**options, "gracePeriodSeconds": grace}

    def selector(self) -> Selector:
        labels = label_selector(self.text("labelSelector"))
        fields = field_selector(self.text("fieldSelector"))
        return lambda found: labels(found) and fields(found)


def _target(path: str) -> dict[str, Any]:
    match = _PATH.match(path)
    if match is None:
        message = f"the server could not find the requested resource {path}"
        raise ApiError(404, "NotFound", message)
    return match.groupdict()


def _decoded(body: bytes) -> Any:
    if not body:
        return {}
    try:
        return json.loads(body)
    except ValueError as error:
        raise bad_request(f"the object provided is unrecognized: {error}") from error
