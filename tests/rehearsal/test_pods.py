"""Pods in each runtime: volumes, variables, users and limits."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.rehearsal.image import BuiltImage
from bigflow_backend.rehearsal.kubernetes import Kubernetes
from bigflow_backend.rehearsal.runtimes import chosen_runtime
from support.containers import BASE_IMAGE
from support.registry import installed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bigflow_backend.rehearsal.kubernetes import PodRecord

pytestmark = [pytest.mark.engine, pytest.mark.slow]
TIMEOUT = 300
Run = Callable[..., "PodRecord"]
_CONTAINERS = '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "runc"\n'


@pytest.fixture(scope="module", params=["sandbox", "docker", "podman"])
def runtime(request: pytest.FixtureRequest) -> str:
    """A value of ``bigflow rehearse --runtime``."""
    return str(request.param)


@pytest.fixture(scope="module")
def kubernetes(
    runtime: str, request: pytest.FixtureRequest, base_archive: str
) -> Iterator[Kubernetes]:
    """A Kubernetes whose node is the runtime."""
    archive = Path(base_archive.removeprefix("docker-archive:"))
    image = BuiltImage(BASE_IMAGE, frozenset(), frozenset({BASE_IMAGE}), base_archive, archive)
    # The directories of pytest are private, and root's sandboxes run as nobody.
    with (
        tempfile.TemporaryDirectory(prefix="pods-", ignore_cleanup_errors=True) as name,
        pytest.MonkeyPatch.context() as patch,
    ):
        scratch = Path(name)
        scratch.chmod(0o711)
        if runtime == "sandbox":
            request.getfixturevalue("bubblewrap")
        elif runtime == "docker":
            request.getfixturevalue("engine")
        else:
            installed("podman", package="podman")
            installed("runc", package="runc")
            (scratch / "containers.conf").write_text(_CONTAINERS)
            (scratch / "storage.conf").write_text(
                '[storage]\ndriver = "overlay"\n'
                f'graphroot = "{name}/root"\nrunroot = "{name}/run"\n'
            )
            patch.setenv("CONTAINERS_CONF", f"{name}/containers.conf")
            patch.setenv("CONTAINERS_STORAGE_CONF", f"{name}/storage.conf")
        say: list[str] = []
        with (
            chosen_runtime(runtime, image, scratch, network=False, say=say.append) as (found, node),
            Kubernetes(node) as cluster,
        ):
            assert found == runtime
            yield cluster
        if runtime == "podman":
            subprocess.run(["umount", f"{name}/root/overlay"], check=False)


@pytest.fixture
def run(kubernetes: Kubernetes) -> Run:
    """Return a function that runs a shell script in a pod, and returns the finished pod."""

    def finished(
        script: str, *, spec: Mapping[str, Any] | None = None, **container: Any
    ) -> PodRecord:
        one = {"name": "base", "image": BASE_IMAGE, "command": ["sh", "-c", script], **container}
        body = {
            "metadata": {"generateName": "test-"},
            "spec": {"restartPolicy": "Never", "containers": [one], **(spec or {})},
        }
        kubernetes.cluster.create_pod("default", body)
        ended = kubernetes.wait_for(
            lambda pods: (
                pods[-1].finished is not None
                or (pods[-1].phase == "Pending" and bool(pods[-1].reason))
            ),
            timeout=TIMEOUT,
        )
        return ended[-1]

    return finished


def mounted(path: str, volume: Mapping[str, Any], **mount: Any) -> dict[str, Any]:
    """Return the parts of a pod with one volume."""
    return {
        "spec": {"volumes": [{"name": "one", **volume}]},
        "volumeMounts": [{"name": "one", "mountPath": path, **mount}],
    }


def test_success_failure_and_memory(run: Run, runtime: str) -> None:
    done = run("echo out; echo err >&2")
    assert (done.phase, sorted(done.log.splitlines())) == ("Succeeded", ["err", "out"])
    failed = run("echo why; exit 3")
    assert (failed.phase, failed.exit_code, failed.log) == ("Failed", 3, "why\n")
    grown = run(
        "exec python3 -c 'x = bytearray(256 << 20); import time; time.sleep(600)'",
        resources={"limits": {"memory": "64Mi"}},
    )
    assert (grown.phase, grown.exit_code) == ("Failed", 137)
    if runtime != "podman":  # it does not know the reason, where the kernel has cgroups v1
        assert grown.reason == "OOMKilled"


def test_an_empty_directory_can_be_written_by_each_user(run: Run) -> None:
    parts = mounted("/data/work", {"emptyDir": {"sizeLimit": "1Gi"}})
    parts["spec"]["securityContext"] = {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000}
    assert run("echo a > /data/work/file && cat /data/work/file", **parts).log == "a\n"
    assert run("ls /data/work | wc -l", **parts).log == "0\n"


@pytest.mark.parametrize("path", ["/tmp/data", "/var/run/data", "/data"])
def test_a_volume_can_be_anywhere(run: Run, path: str) -> None:
    """``/var/run`` is a link in the image."""
    done = run(f"cd {path} && echo a > b && cat b", **mounted(path, {"emptyDir": {}}))
    assert done.log == "a\n"


def test_a_read_only_mount(run: Run) -> None:
    parts = mounted("/data", {"emptyDir": {"medium": "Memory"}}, readOnly=True)
    assert run("touch /data/a 2>/dev/null || echo refused", **parts).log == "refused\n"


def test_secrets_and_config_maps_as_files(kubernetes: Kubernetes, run: Run) -> None:
    kubernetes.create_secret("files", {"user": "me", "password": "s3cr3t"})
    kubernetes.create_config_map("settings", {"level": "debug", "other": "x"})
    read = "cd /files; find . -type f | sort | while read f; do echo $f $(cat $f); done"
    refused = "; touch /files/new 2>/dev/null || echo refused"
    secret = mounted("/files", {"secret": {"secretName": "files", "defaultMode": 0o444}})
    lines = ["./password s3cr3t", "./user me", "refused"]
    assert run(read + refused, **secret).log.splitlines() == lines
    item = {"key": "level", "path": "log/level.txt"}
    chosen = mounted("/files", {"configMap": {"name": "settings", "items": [item]}})
    assert run(read, **chosen).log == "./log/level.txt debug\n"
    sources = [
        {"configMap": {"name": "settings"}},
        {"secret": {"name": "files", "items": [{"key": "user", "path": "user", "mode": 0o400}]}},
    ]
    both = mounted("/files", {"projected": {"sources": sources}})
    assert run(read, **both).log.splitlines() == ["./level debug", "./other x", "./user me"]
    one = mounted("/etc/app.txt", {"configMap": {"name": "settings"}}, subPath="level")
    assert run("cat /etc/app.txt", **one).log == "debug\n"
    optional = mounted("/files", {"secret": {"secretName": "none", "optional": True}})
    assert run("ls /files | wc -l", **optional).log == "0\n"


def test_a_missing_config_map(run: Run) -> None:
    waits = run("", **mounted("/files", {"configMap": {"name": "none"}}))
    assert (waits.phase, waits.reason) == ("Pending", "CreateContainerConfigError")
    assert waits.message == 'configmaps "none" not found'


def test_variables_of_secrets_and_config_maps(kubernetes: Kubernetes, run: Run) -> None:
    kubernetes.create_secret("variables", {"USER_NAME": "me"})
    kubernetes.create_config_map("variables", {"LEVEL": "debug", "1not": "a name"})
    done = run(
        "echo $USER_NAME $A_LEVEL $ONE; env | grep -c not",
        envFrom=[
            {"secretRef": {"name": "variables"}},
            {"configMapRef": {"name": "variables"}, "prefix": "A_"},
            {"configMapRef": {"name": "variables"}},
            {"configMapRef": {"name": "none", "optional": True}},
        ],
        env=[
            {
                "name": "ONE",
                "valueFrom": {"configMapKeyRef": {"name": "variables", "key": "LEVEL"}},
            }
        ],
    )
    assert done.log.splitlines() == ["me debug debug", "1"]  # A_1not is a name


def test_a_read_only_root(run: Run, runtime: str) -> None:
    parts = mounted("/scratch", {"emptyDir": {}})
    directory = "/usr" if runtime == "podman" else "/tmp"  # Podman makes /tmp writable
    done = run(
        f"touch {directory}/a 2>/dev/null || echo refused; touch /scratch/a && echo written",
        securityContext={
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **parts,
    )
    assert done.log.splitlines() == ["refused", "written"]


def test_a_pod_that_must_not_be_root(run: Run) -> None:
    waits = run("", securityContext={"runAsNonRoot": True})
    assert waits.message == "container has runAsNonRoot and image will run as root"
    done = run("id -u", securityContext={"runAsNonRoot": True, "runAsUser": 1000})
    assert done.log == "1000\n"


def test_names_of_hosts(run: Run) -> None:
    aliases = [{"ip": "10.1.2.3", "hostnames": ["db.example.com", "db"]}]
    lookup = "import socket; print(socket.gethostbyname('db'))"
    assert run(f'python3 -c "{lookup}"', spec={"hostAliases": aliases}).log == "10.1.2.3\n"
