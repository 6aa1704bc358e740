"""The kubelet of the tests: containers, their logs, exit codes, secrets and deletion."""

from __future__ import annotations

import contextlib
import http.client
import json
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.rehearsal.node.container_spec import expand
from support.kubernetes.fixtures import cluster_of

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from docker import DockerClient

    from bigflow_backend.rehearsal.kubernetes import Kubernetes, PodRecord

# test_sample_project.py uses the same kubelet, in `make test`, too.
pytestmark = [pytest.mark.engine, pytest.mark.slow]
TIMEOUT = 60
PODS = "/api/v1/namespaces/default/pods"


def run(
    kubernetes: Kubernetes,
    image: str,
    script: str,
    *,
    arguments: Sequence[str] = (),
    spec: dict[str, Any] | None = None,
    **more: Any,
) -> str:
    """Create a pod that runs the script. Return its name."""
    container = {
        "name": "base",
        "image": image,
        "command": ["python3", "-u", "-c"],
        "args": [script, *arguments],
        **more,
    }
    body = {
        "metadata": {"generateName": "test-"},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
            **(spec or {}),
        },
    }
    return str(kubernetes.cluster.create_pod("default", body)["metadata"]["name"])


def is_finished(pods: list[PodRecord]) -> bool:
    return all(pod.finished for pod in pods)


def finished(kubernetes: Kubernetes) -> PodRecord:
    (pod,) = kubernetes.wait_for(is_finished, timeout=TIMEOUT)
    return pod


def waiting(kubernetes: Kubernetes) -> PodRecord:
    (pod,) = kubernetes.wait_for(lambda pods: bool(pods[0].reason), timeout=TIMEOUT)
    return pod


def get(kubernetes: Kubernetes, path: str) -> Generator[bytes, None, None]:
    """Yield the lines of a response as they arrive."""
    host = kubernetes.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=TIMEOUT)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {kubernetes.token}"})
        response = connection.getresponse()
        assert response.status == 200, response.read()
        yield from response
    finally:
        connection.close()


def test_the_log_and_the_exit_code(kubernetes: Kubernetes, base_image: str) -> None:
    script = "import sys; print('żółw'); print('err', file=sys.stderr); print('end', end='')"
    name = run(kubernetes, base_image, script)
    pod = finished(kubernetes)
    assert (pod.phase, pod.reason, pod.exit_code) == ("Succeeded", "Completed", 0)
    assert sorted(pod.log.splitlines()) == ["end", "err", "żółw"]
    assert pod.started is not None
    assert pod.finished is not None
    assert pod.created < pod.started < pod.finished
    assert pod.deleted is None
    kubernetes.cluster.delete("pods", "default", name, {})
    (pod,) = kubernetes.wait_for(lambda pods: pods[0].deleted is not None, timeout=TIMEOUT)
    assert "żółw" in pod.log


def test_a_failure(kubernetes: Kubernetes, base_image: str) -> None:
    run(kubernetes, base_image, "raise SystemExit(3)")
    pod = finished(kubernetes)
    assert (pod.phase, pod.reason, pod.exit_code) == ("Failed", "Error", 3)


def test_a_missing_program(kubernetes: Kubernetes, base_image: str) -> None:
    run(kubernetes, base_image, "", command=["no-such-program"])
    pod = finished(kubernetes)
    assert (pod.phase, pod.reason, pod.exit_code) == ("Failed", "StartError", 128)
    assert "no-such-program" in " ".join(kubernetes.events())


def test_the_environment(kubernetes: Kubernetes, base_image: str) -> None:
    kubernetes.create_secret("db-password", {"other": "s3cr$(A)t", "o.k": "all"})
    run(
        kubernetes,
        base_image,
        "import os, sys; env = os.environ\n"
        "print([env.get(name) for name in 'ABCDP'], sys.argv[1:], env['o.k'])",
        arguments=["$(A)"],
        envFrom=[{"secretRef": {"name": "db-password"}}],
        env=[
            {"name": "A", "value": "a b\n$x"},
            {"name": "B", "value": "$(A)-$$(A)-$(Z)"},
            {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {
                "name": "D",
                "valueFrom": {"secretKeyRef": {"name": "none", "key": "k", "optional": True}},
            },
            {"name": "P", "valueFrom": {"secretKeyRef": {"name": "db-password", "key": "other"}}},
        ],
    )
    values = ["a b\n$x", "a b\n$x-$(A)-$(Z)", "default", None, "s3cr$(A)t"]
    assert finished(kubernetes).log == f"{values} {values[:1]} all\n"


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "a"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$a"),
        ("$(B) $A $", "$(B) $A $"),
        ("$()", "$()"),
    ],
)
def test_references_in_arguments(text: str, expanded: str) -> None:
    assert expand(text, {"A": "a"}) == expanded


def test_the_limits_and_the_user(kubernetes: Kubernetes, base_image: str) -> None:
    run(
        kubernetes,
        base_image,
        "import os; print(os.getuid(), os.getgid(), os.getcwd())",
        spec={"securityContext": {"runAsUser": 65534, "runAsGroup": 65534}},
        workingDir="/tmp",
        resources={"limits": {"memory": "64Mi", "cpu": "500m"}},
    )
    assert finished(kubernetes).log == "65534 65534 /tmp\n"


def test_the_memory_limit_is_enforced(kubernetes: Kubernetes, base_image: str) -> None:
    run(
        kubernetes,
        base_image,
        "x = bytearray(256 * 2**20)",
        resources={"limits": {"memory": "32Mi"}},
    )
    pod = finished(kubernetes)
    assert (pod.phase, pod.reason, pod.exit_code) == ("Failed", "OOMKilled", 137)


MISSING = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "db-password", "key": "k"}}}


def test_a_missing_secret(kubernetes: Kubernetes, base_image: str) -> None:
    run(kubernetes, base_image, "", env=[MISSING])
    pod = waiting(kubernetes)
    assert (pod.phase, pod.reason) == ("Pending", "CreateContainerConfigError")
    assert f'{pod.name}: Failed: Error: secrets "db-password" not found' in kubernetes.events()


def test_a_missing_key_of_a_secret(kubernetes: Kubernetes, base_image: str) -> None:
    kubernetes.create_secret("db-password", {"other": ""})
    run(kubernetes, base_image, "", env=[MISSING])
    assert waiting(kubernetes).reason == "CreateContainerConfigError"


def test_a_missing_image(kubernetes: Kubernetes) -> None:
    name = run(kubernetes, "bigflow-test/none:1", "")
    pod = waiting(kubernetes)
    assert (pod.phase, pod.reason) == ("Pending", "ErrImagePull")
    kubernetes.cluster.delete("pods", "default", name, {})
    kubernetes.wait_for(lambda pods: pods[0].deleted is not None, timeout=TIMEOUT)


def test_a_pod_that_fits_no_node(kubernetes: Kubernetes, base_image: str) -> None:
    run(kubernetes, base_image, "", spec={"nodeSelector": {"disk": "fast"}})
    kubernetes.wait_for(lambda _: len(kubernetes.events()) == 1, timeout=TIMEOUT)
    run(kubernetes, base_image, "", resources={"limits": {"nvidia.com/gpu": "1"}})
    kubernetes.wait_for(lambda _: len(kubernetes.events()) == 2, timeout=TIMEOUT)
    first, second = kubernetes.events()
    assert "FailedScheduling: 0/1 nodes are available" in first
    assert "Insufficient nvidia.com/gpu" in second
    for pod in kubernetes.pods:
        kubernetes.cluster.delete("pods", "default", pod.name, {})
    assert all(pod.deleted for pod in kubernetes.pods)


def containers_of(pod: PodRecord, engine: DockerClient) -> list[Any]:
    return engine.containers.list(all=True, filters={"label": f"io.kubernetes.pod.uid={pod.uid}"})


FOREVER = "import time; print('up')\nwhile True: time.sleep(60)"


def test_a_deleted_pod_has_no_container(
    kubernetes: Kubernetes, base_image: str, engine: DockerClient
) -> None:
    name = run(kubernetes, base_image, FOREVER)
    (pod,) = kubernetes.wait_for(lambda pods: bool(pods[0].started), timeout=TIMEOUT)
    assert len(containers_of(pod, engine)) == 1
    deleted = kubernetes.cluster.delete("pods", "default", name, {})
    assert "deletionTimestamp" in deleted["metadata"]
    (pod,) = kubernetes.wait_for(lambda pods: pods[0].deleted is not None, timeout=TIMEOUT)
    assert pod.exit_code == 137
    assert containers_of(pod, engine) == []


def test_a_program_has_time_to_exit(kubernetes: Kubernetes, base_image: str) -> None:
    script = f"import signal; signal.signal(signal.SIGTERM, lambda *_: exit(7)); {FOREVER}"
    name = run(kubernetes, base_image, script, spec={"terminationGracePeriodSeconds": 30})
    kubernetes.wait_for(lambda pods: bool(pods[0].started), timeout=TIMEOUT)
    with contextlib.closing(get(kubernetes, f"{PODS}/{name}/log?follow=true")) as lines:
        assert next(lines) == b"up\n"
    kubernetes.cluster.delete("pods", "default", name, {})
    assert finished(kubernetes).exit_code == 7


def test_a_stopped_cluster_has_no_container(engine: DockerClient, base_image: str) -> None:
    with cluster_of(engine) as kubernetes:
        run(kubernetes, base_image, FOREVER)
        (pod,) = kubernetes.wait_for(lambda pods: bool(pods[0].started), timeout=TIMEOUT)
    assert containers_of(pod, engine) == []


WRITES = "open('/dev/termination-log', 'w').write('why'); print('output')\n"


@pytest.mark.parametrize(
    ("script", "policy", "message"),
    [
        (f"{WRITES}raise SystemExit(1)", "File", "why"),
        (f"{WRITES}raise SystemExit(1)", "FallbackToLogsOnError", "why"),
        (WRITES, "FallbackToLogsOnError", "why"),
        ("print('a\\nb'); exit(1)", "FallbackToLogsOnError", "a\nb"),
        ("print('a\\nb')", "FallbackToLogsOnError", None),
        ("print('a\\nb'); exit(1)", "File", None),
    ],
)
def test_the_termination_message(
    kubernetes: Kubernetes, base_image: str, script: str, policy: str, message: str | None
) -> None:
    run(kubernetes, base_image, script, terminationMessagePolicy=policy)
    assert finished(kubernetes).message == message


def test_the_deadline_of_a_pod(kubernetes: Kubernetes, base_image: str) -> None:
    run(kubernetes, base_image, FOREVER, spec={"activeDeadlineSeconds": 1})
    pod = finished(kubernetes)
    assert (pod.phase, pod.reason) == ("Failed", "DeadlineExceeded")


def test_a_log_is_followed_to_its_end(kubernetes: Kubernetes, base_image: str) -> None:
    name = run(kubernetes, base_image, "for n in range(3): print(n)")
    kubernetes.wait_for(lambda pods: bool(pods[0].started), timeout=TIMEOUT)
    lines = list(get(kubernetes, f"{PODS}/{name}/log?follow=True&timestamps=true"))
    assert [line.split()[1] for line in lines] == [b"0", b"1", b"2"]
    assert all(line.split()[0].endswith(b"Z") for line in lines)
    assert list(get(kubernetes, f"{PODS}/{name}/log?tailLines=1")) == [b"2\n"]
    assert list(get(kubernetes, f"{PODS}/{name}/log?sinceSeconds=3600")) == [b"0\n", b"1\n", b"2\n"]


def test_a_watch_shows_all_changes_of_a_pod(kubernetes: Kubernetes, base_image: str) -> None:
    name = run(kubernetes, base_image, "")
    seen: list[tuple[str, str]] = []
    with contextlib.closing(get(kubernetes, f"{PODS}?watch=1&timeoutSeconds={TIMEOUT}")) as lines:
        for line in lines:
            change = json.loads(line)
            step = (change["type"], change["object"]["status"]["phase"])
            if step == ("MODIFIED", "Succeeded") and step not in seen:
                kubernetes.cluster.delete("pods", "default", name, {})
            seen.append(step)
            if step[0] == "DELETED":
                break
    assert seen[0] == ("ADDED", "Pending")
    assert ("MODIFIED", "Running") in seen
    assert seen[-1] == ("DELETED", "Succeeded")


def test_a_watch_ends_after_its_timeout(kubernetes: Kubernetes) -> None:
    assert list(get(kubernetes, f"{PODS}?watch=1&timeoutSeconds=1")) == []
