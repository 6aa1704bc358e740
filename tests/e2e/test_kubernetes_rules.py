"""The API server of the tests has the rules of a real one. It has no node, so no pod runs here."""

from __future__ import annotations

import base64
import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from support.kubernetes.fixtures import cluster_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bigflow_backend.rehearsal.kubernetes import Kubernetes

PODS = "/api/v1/namespaces/default/pods"
SECRETS = "/api/v1/namespaces/default/secrets"
MERGE_PATCH = "application/merge-patch+json"


@dataclass
class Client:
    """A plain HTTP client of the API."""

    server: Kubernetes

    def __call__(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> tuple[int, Any]:
        host = self.server.url.removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=30)
        headers = {
            "Authorization": f"Bearer {self.server.token}",
            "Content-Type": content_type,
        }
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


@pytest.fixture
def call() -> Iterator[Client]:
    with cluster_of(None) as server:
        yield Client(server)


def pod(name: str = "one", **container: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "x"}, "namespace": None},
        "spec": {
            "restartPolicy": "Never",
            "volumes": [],
            "containers": [{"name": "base", "image": "some:1", **container}],
        },
    }


def with_meta(**meta: Any) -> dict[str, Any]:
    found = pod()
    found["metadata"].update(meta)
    return found


def with_spec(**spec: Any) -> dict[str, Any]:
    found = pod()
    found["spec"].update(spec)
    return found


def volume(**source: Any) -> dict[str, Any]:
    return with_spec(volumes=[{"name": "one", **source}])


def test_a_pod_is_created_read_and_deleted(call: Client) -> None:
    status, created = call("POST", PODS, pod(env=[{"name": "A", "value": "1"}]))
    assert status == 201
    assert created["status"]["phase"] == "Pending"
    assert created["metadata"]["namespace"] == "default"
    assert created["spec"]["serviceAccountName"] == "default"
    assert call("GET", f"{PODS}/one") == (200, created)
    status, found = call("GET", f"{PODS}?labelSelector=app%3Dx")
    assert (status, found["kind"], found["items"]) == (200, "PodList", [created])
    assert call("GET", f"{PODS}?labelSelector=app%3Dy")[1]["items"] == []
    assert call("DELETE", f"{PODS}/one")[0] == 200
    assert call("GET", f"{PODS}/one")[0] == 404


GOOD = {
    "generated name": with_meta(name=None, generateName="a-"),
    "longest label": with_meta(labels={"example.org/k": "v" * 63, "empty": ""}),
    "quantities": pod(
        resources={
            "requests": {"cpu": "500m", "memory": "0.5Gi"},
            "limits": {"cpu": 1.5, "memory": "1e9", "nvidia.com/gpu": "1"},
        }
    ),
    "secrets": pod(
        env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a-b", "key": "a_b"}}}],
        envFrom=[{"secretRef": {"name": "c.d"}}],
    ),
    "volumes": volume(emptyDir={"medium": "Memory", "sizeLimit": "1Gi"}),
    "affinity": with_spec(affinity={"nodeAffinity": {}}, dnsConfig={"searches": ["a.b"]}),
    "tolerations": with_spec(
        tolerations=[
            {"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5},
            {"operator": "Exists"},
            {"key": "a", "value": "b"},
        ]
    ),
}


@pytest.mark.parametrize("body", GOOD.values(), ids=GOOD)
def test_valid_pods(call: Client, body: dict[str, Any]) -> None:
    status, answer = call("POST", PODS, body)
    assert (status, answer.get("message")) == (201, None)


WRONG: dict[str, tuple[dict[str, Any], int, str]] = {
    "no name": (with_meta(name=""), 422, "metadata.name: Required value"),
    "underscore": (pod("a_b"), 422, 'metadata.name: Invalid value: "a_b": a lowercase RFC 1123'),
    "trailing newline": (pod("a\n"), 422, "metadata.name: Invalid value"),
    "name too long": (pod("a" * 254), 422, "metadata.name: Invalid value"),
    "label with space": (with_meta(labels={"a": "a b"}), 422, 'labels: Invalid value: "a b"'),
    "label not ascii": (with_meta(labels={"a": "żółw"}), 422, 'labels: Invalid value: "żółw"'),
    "label too long": (with_meta(labels={"a": "v" * 64}), 422, "at most 63"),
    "label key": (with_meta(labels={"-a": "b"}), 422, 'labels: Invalid value: "-a"'),
    "label is a number": (with_meta(labels={"a": 1}), 400, "cannot unmarshal number into field"),
    "annotation key": (with_meta(annotations={"a b": "c"}), 422, "metadata.annotations: Invalid"),
    "annotations too long": (with_meta(annotations={"a": "x" * 262144}), 422, "Too long"),
    "another namespace": (with_meta(namespace="other"), 400, "does not match the namespace"),
    "another kind": ({**pod(), "kind": "Job"}, 422, "kind: Invalid value"),
    "no container": (with_spec(containers=[]), 422, "spec.containers: Required value"),
    "no image": (pod(image=""), 422, "spec.containers[0].image: Required value"),
    "image with space": (pod(image=" a:1"), 422, "no leading or trailing whitespace"),
    "container name": (
        with_spec(containers=[{"name": "Base", "image": "some:1"}]),
        422,
        'spec.containers[0].name: Invalid value: "Base"',
    ),
    "pull policy": (pod(imagePullPolicy="Sometimes"), 422, 'Unsupported value: "Sometimes"'),
    "argument is a number": (pod(args=[1]), 400, "spec.containers.args of type string"),
    "env name": (pod(env=[{"name": "1A"}]), 422, "must not start with a digit"),
    "env value is a number": (pod(env=[{"name": "A", "value": 1}]), 400, "cannot unmarshal number"),
    "secret name": (
        pod(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a_b", "key": "k"}}}]),
        422,
        'secretKeyRef.name: Invalid value: "a_b"',
    ),
    "secret key": (
        pod(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a", "key": "k k"}}}]),
        422,
        "secretKeyRef.key: Invalid value",
    ),
    "quantity": (
        pod(resources={"limits": {"memory": "1 GB"}}),
        400,
        "quantities must match the regular expression",
    ),
    "request above limit": (
        pod(resources={"requests": {"memory": "2Gi"}, "limits": {"memory": "1000Mi"}}),
        422,
        "must be less than or equal to memory limit of 1000Mi",
    ),
    "unknown resource": (pod(resources={"limits": {"gpu": "1"}}), 422, "standard resource type"),
    "half a GPU": (pod(resources={"limits": {"a.b/gpu": "500m"}}), 422, "must be an integer"),
    "GPU without limit": (pod(resources={"requests": {"a.b/gpu": "1"}}), 422, "Required value"),
    "deadline": (with_spec(activeDeadlineSeconds=0), 422, "must be between 1 and"),
    "node selector": (with_spec(nodeSelector={"a": "b c"}), 422, "spec.nodeSelector: Invalid"),
    "toleration": (with_spec(tolerations=[{"value": "b"}]), 422, "must be Exists without a `key`"),
    "toleration effect": (
        with_spec(tolerations=[{"key": "a", "effect": "Never"}]),
        422,
        'Unsupported value: "Never"',
    ),
    "service account": (with_spec(serviceAccountName="none"), 403, 'serviceaccount "none" not'),
    "priority class": (with_spec(priorityClassName="none"), 403, "no PriorityClass with name"),
    "a claim": (volume(persistentVolumeClaim={"claimName": "c"}), 501, "persistentVolumeClaim"),
    "a path of the node": (volume(hostPath={"path": "/"}), 501, "hostPath: the files of a node"),
    "a token": (
        volume(projected={"sources": [{"serviceAccountToken": {"path": "t"}}]}),
        501,
        "serviceAccountToken: there are no service accounts",
    ),
    "two kinds of volumes": (
        volume(emptyDir={}, secret={"secretName": "s"}),
        422,
        "may not specify more than 1 volume type",
    ),
    "a path that leads up": (
        volume(configMap={"name": "c", "items": [{"key": "k", "path": "../k"}]}),
        422,
        'items.path: Invalid value: "../k"',
    ),
    "an unknown volume": (
        pod(volumeMounts=[{"name": "none", "mountPath": "/a"}]),
        422,
        'volumeMounts[0].name: Not found: "none"',
    ),
    "rights": (pod(securityContext={"privileged": True}), 501, "privileged: pods have no rights"),
    "an init container": (
        with_spec(initContainers=[{"name": "a", "image": "i"}]),
        501,
        "spec.initContainers: a pod has one container",
    ),
    "a sidecar": (
        with_spec(containers=[{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]),
        501,
        "several containers",
    ),
    "restart": (with_spec(restartPolicy=None), 501, "restartPolicy Always"),
}


@pytest.mark.parametrize(("body", "code", "message"), WRONG.values(), ids=WRONG)
def test_invalid_pods(call: Client, body: dict[str, Any], code: int, message: str) -> None:
    status, answer = call("POST", PODS, body)
    assert (status, answer["code"], answer["kind"]) == (code, code, "Status")
    assert message in answer["message"]
    assert call.server.pods == []


def test_names_are_unique(call: Client) -> None:
    call("POST", PODS, pod())
    status, answer = call("POST", PODS, pod())
    assert (status, answer["reason"]) == (409, "AlreadyExists")
    assert answer["message"] == 'pods "one" already exists'


def test_missing_objects(call: Client) -> None:
    for path in (f"{PODS}/none", f"{PODS}/none/log", f"{SECRETS}/none", "/api/v2", PODS + "s"):
        assert call("GET", path)[0] == 404
    other = PODS.replace("default", "other")
    assert call("GET", other)[1]["message"] == 'namespaces "other" not found'
    assert call("POST", other, pod())[0] == 404


def test_wrong_requests(call: Client) -> None:
    assert call("POST", PODS, b"{")[0] == 400
    assert call("POST", PODS, [])[0] == 400
    assert call("POST", PODS, ["x"])[0] == 400
    assert call("PUT", f"{PODS}/one", pod())[0] == 405
    assert call("GET", f"{PODS}/one/exec")[0] == 501
    assert call("GET", f"{PODS}?limit=1")[0] == 501
    assert call("GET", f"{PODS}?watch=1&resourceVersion=x")[0] == 400


@pytest.mark.parametrize("bad", ["a%3Da%20b", "a%3D%C5%BC", "a%3D" + "x" * 64, "-a%3Db", "a%20b"])
def test_a_bad_label_selector_is_a_bad_request(call: Client, bad: str) -> None:
    """The operator lists pods by label before it creates one, so its users see this error."""
    status, answer = call("GET", f"{PODS}?labelSelector={bad}")
    assert (status, answer["reason"]) == (400, "BadRequest")
    assert "unable to parse requirement" in answer["message"]


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ("app=x", True),
        ("app==x,!other", True),
        ("app!=x", False),
        ("app in (w, x),app", True),
        ("app notin (x)", False),
        ("other", False),
        ("other!=x", True),
    ],
)
def test_label_selectors(call: Client, selector: str, selected: bool) -> None:
    call("POST", PODS, pod())
    quoted = selector.replace(" ", "%20").replace("=", "%3D").replace("!", "%21")
    status, found = call("GET", f"{PODS}?labelSelector={quoted}")
    assert (status, bool(found["items"])) == (200, selected)


def test_the_token_is_checked(call: Client) -> None:
    call.server.token = "another"
    assert call("GET", PODS) == (401, {**call("GET", PODS)[1], "reason": "Unauthorized"})


def test_labels_can_be_patched_and_the_spec_cannot(call: Client) -> None:
    _, created = call("POST", PODS, pod())
    patch: dict[str, Any] = {"metadata": {"labels": {"app": None, "done": "True"}}}
    status, patched = call("PATCH", f"{PODS}/one", patch, MERGE_PATCH)
    assert (status, patched["metadata"]["labels"]) == (200, {"done": "True"})
    patch["metadata"]["resourceVersion"] = created["metadata"]["resourceVersion"]
    status, answer = call("PATCH", f"{PODS}/one", patch, MERGE_PATCH)
    assert (status, answer["reason"]) == (409, "Conflict")
    status, answer = call("PATCH", f"{PODS}/one", {"spec": {"hostname": "x"}}, MERGE_PATCH)
    assert (status, "spec: Forbidden" in answer["message"]) == (422, True)
    patch = {"metadata": {"labels": {"a": "b c"}}}
    assert call("PATCH", f"{PODS}/one", patch, MERGE_PATCH)[0] == 422
    assert call("PATCH", f"{PODS}/one", [], "application/json-patch+json")[0] == 415
    assert call("GET", f"{PODS}/one")[1] == patched


def test_a_delete_can_require_a_uid(call: Client) -> None:
    call("POST", PODS, pod())
    status, answer = call("DELETE", f"{PODS}/one", {"preconditions": {"uid": "another"}})
    assert (status, answer["reason"]) == (409, "Conflict")


def test_secrets(call: Client) -> None:
    call.server.create_secret("password", {"a_b": "żółw"})
    status, found = call("GET", f"{SECRETS}/password")
    assert (status, base64.b64decode(found["data"]["a_b"]).decode()) == (200, "żółw")
    body = {"metadata": {"name": "bad_name"}, "data": {"a b": "!"}}
    status, answer = call("POST", SECRETS, body)
    assert status == 422
    for part in ('"bad_name"', "data[a b]", "not base64"):
        assert part in answer["message"]
    assert call("DELETE", f"{SECRETS}/password")[0] == 200
    assert call("GET", f"{SECRETS}/password")[0] == 404


def test_a_pod_without_a_node_is_pending_and_has_no_log(call: Client) -> None:
    call("POST", PODS, pod())
    status, answer = call("GET", f"{PODS}/one/log")
    assert (status, "is waiting to start" in answer["message"]) == (400, True)
    status, answer = call("GET", f"{PODS}/one/log?container=other")
    assert (status, answer["message"]) == (400, "container other is not valid for pod one")
