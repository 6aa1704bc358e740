"""Containers under bubblewrap: what a program of an image can and cannot do there."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.ground.errors import UserError
from bigflow_backend.rehearsal.image import BuiltImage, UnpackedImage, unpack
from bigflow_backend.rehearsal.kubernetes import Kubernetes
from bigflow_backend.rehearsal.node.sandbox import SandboxRuntime
from support.images import layer_tar, write_docker_archive

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bigflow_backend.rehearsal.kubernetes import PodRecord

pytestmark = pytest.mark.slow
TIMEOUT = 300
IMAGE = "example.com/base:1"


@dataclass
class Pods:
    """A cluster whose node is the sandbox."""

    kubernetes: Kubernetes
    image: UnpackedImage

    def run(
        self, script: str, *, spec: Mapping[str, Any] | None = None, **container: Any
    ) -> PodRecord:
        """Return the finished pod of a shell script."""
        self.create(script, spec=spec, **container)
        return self.kubernetes.wait_for(lambda p: p[-1].finished is not None, timeout=TIMEOUT)[-1]

    def create(
        self, script: str, *, spec: Mapping[str, Any] | None = None, **container: Any
    ) -> None:
        one = {"name": "base", "image": IMAGE, "command": ["sh", "-c", script], **container}
        body = {
            "metadata": {"generateName": "test-"},
            "spec": {"restartPolicy": "Never", "containers": [one], **(spec or {})},
        }
        self.kubernetes.cluster.create_pod("default", body)


@pytest.fixture(scope="module")
def pods(base_archive: str, bubblewrap: str) -> Iterator[Pods]:
    # The directories of pytest are private, and root's sandboxes run as nobody.
    with tempfile.TemporaryDirectory(prefix="sandbox-") as name:
        directory = Path(name)
        directory.chmod(0o711)
        built = BuiltImage(IMAGE, frozenset(), frozenset({IMAGE}), base_archive, None)
        files = unpack(built, directory)
        (below := directory / "pods").mkdir(0o755)
        runtime = SandboxRuntime(bubblewrap, built, files, below, network=False)
        with Kubernetes(runtime) as kubernetes:
            yield Pods(kubernetes, files)


def test_the_output_and_the_exit_code(pods: Pods) -> None:
    pod = pods.run("echo out; echo err >&2; printf end; exit 3")
    assert (pod.phase, pod.reason, pod.exit_code) == ("Failed", "Error", 3)
    assert pod.log == "out\nerr\nend\n"


def test_a_missing_program_and_a_missing_image(pods: Pods) -> None:
    pod = pods.run("", command=["no-such-program"])
    assert (pod.phase, pod.reason, pod.exit_code) == ("Failed", "StartError", 128)
    pods.create("", image="example.com/other:1")
    found = pods.kubernetes.wait_for(lambda p: bool(p[-1].reason), timeout=TIMEOUT)[-1]
    assert (found.phase, found.reason) == ("Pending", "ErrImagePull")


def test_it_sees_nothing_of_this_machine(pods: Pods, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    pod = pods.run(
        f"ls {tmp_path} 2>/dev/null; ls /proc | grep -c '^[0-9]'; env | grep -c BIGFLOW;"
        f" kill -0 {os.getpid()} 2>/dev/null && echo reaches-it"
    )
    processes, *others = pod.log.splitlines()
    assert int(processes) < 10
    assert others == ["0"]


def test_it_has_no_network(pods: Pods) -> None:
    port = pods.kubernetes.url.rpartition(":")[2]
    connect = f"import socket; socket.create_connection(('127.0.0.1', {port}))"
    assert "ConnectionRefusedError" in pods.run(f'python3 -c "{connect}"').log


def test_it_writes_only_where_a_pod_writes(pods: Pods) -> None:
    pod = pods.run("touch /tmp/a /run/a a && echo written; touch /usr/a || echo refused")
    assert pod.log.splitlines()[0] == "written"
    assert pod.log.splitlines()[-1] == "refused"
    assert not (pods.image.root / "usr" / "a").exists()


def test_it_can_make_no_namespace(pods: Pods) -> None:
    program = "import ctypes; print(ctypes.CDLL(None).unshare(0x10000000))"
    assert pods.run(f'python3 -c "{program}"').log == "-1\n"


def test_secrets_and_users(pods: Pods) -> None:
    pods.kubernetes.create_secret("one", {"key": "s3cr3t"})
    pod = pods.run(
        "echo $A; id -u; id -g",
        spec={"securityContext": {"runAsUser": 1000, "runAsGroup": 1001}},
        env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "one", "key": "key"}}}],
    )
    assert pod.log.splitlines() == ["s3cr3t", "1000", "1001"]


def test_the_memory_limit(pods: Pods) -> None:
    pod = pods.run(
        "exec python3 -c 'import time; x = bytearray(256 << 20); time.sleep(600)'",
        resources={"limits": {"memory": "64Mi"}},
    )
    assert (pod.phase, pod.reason, pod.exit_code) == ("Failed", "OOMKilled", 137)


def test_a_deadline_and_a_termination_message(pods: Pods) -> None:
    script = "echo why > /dev/termination-log; trap 'exit 7' TERM; while :; do sleep 0.1; done"
    pod = pods.run(script, spec={"activeDeadlineSeconds": 1})
    assert (pod.reason, pod.exit_code, pod.message) == ("DeadlineExceeded", 7, "why\n")


def test_a_hostile_image_stays_in_its_directory(tmp_path: Path) -> None:
    """Its layers have links out of the image, and files behind them."""
    outside = tmp_path / "outside"
    outside.mkdir()
    archive, directory = tmp_path / "image.tar", tmp_path / "unpacked"
    directory.mkdir()
    link = {"home": str(outside), "up": "../../outside", "etc": "/", "link": str(outside)}
    upper = {"home/app/a": "1", "up/b": "2", "../../outside/c": "3", "etc/passwd": "x:x:0:0::/:/"}
    write_docker_archive(archive, [layer_tar({"top": ""}, link), layer_tar(upper)], {})
    image = BuiltImage(IMAGE, frozenset(), frozenset({IMAGE}), f"docker-archive:{archive}", None)
    files = unpack(image, directory)
    assert files.mount_point("/link/app") is None
    assert files.mount_point("/link", file=True) is None
    assert files.mount_point("/../../outside/x") == "/outside/x"
    assert list(outside.iterdir()) == []


def test_unpacking_has_a_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bigflow_backend.rehearsal.image._UNPACK_SECONDS", 0)
    archive = tmp_path / "image.tar"
    write_docker_archive(archive, [layer_tar({"a": "1"})], {})
    image = BuiltImage(IMAGE, frozenset(), frozenset({IMAGE}), f"docker-archive:{archive}", None)
    (directory := tmp_path / "unpacked").mkdir()
    with pytest.raises(UserError, match="is not unpacked after 0 seconds"):
        unpack(image, directory)
