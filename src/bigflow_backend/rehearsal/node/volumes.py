"""The volumes of a pod: directories of this machine.

https://kubernetes.io/docs/concepts/storage/volumes/
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.directories import remove_tree
from bigflow_backend.rehearsal.node.data import (
    CONFIG_MAP,
    SECRET,
    ContainerConfigError,
    read_data,
)
from bigflow_backend.rehearsal.node.runtime import Mount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bigflow_backend.rehearsal.api.cluster import Cluster, Object

_MODE = 0o644
_HOSTS = "/etc/hosts"


class PodVolumes:
    """The volumes of one pod, in a directory of their own.

    Each user can write into an emptyDir. The others are read-only, as in a cluster.
    """

    def __init__(self, pod: Object, cluster: Cluster) -> None:
        self._pod = pod
        self._cluster = cluster
        self._directory = Path(tempfile.mkdtemp(prefix="volumes-"))
        self._directory.chmod(0o711)  # the sandbox runs as another user

    def mounts(self) -> list[Mount]:
        """Make the volumes. Return what the container mounts.

        :raises ContainerConfigError: if a secret, a ConfigMap or a key does not exist.
        """
        volumes = {volume["name"]: volume for volume in self._pod["spec"].get("volumes", [])}
        (container,) = self._pod["spec"]["containers"]
        try:
            for name, volume in volumes.items():
                self._make(self._directory / name, volume)
            mounts = [self._mount(one, volumes) for one in container.get("volumeMounts", [])]
        except OSError as error:  # such as a file below another file
            raise ContainerConfigError(f"cannot make a volume: {error.strerror}") from error
        return [*mounts, *self._hosts()]

    def remove(self, erase: Callable[[Path], None]) -> None:
        """Remove the directory. ``erase`` removes the files that belong to another user."""
        try:
            remove_tree(self._directory)
        except PermissionError:
            erase(self._directory)
            with contextlib.suppress(OSError):
                remove_tree(self._directory)

    def _make(self, directory: Path, volume: Mapping[str, Any]) -> None:
        directory.mkdir()
        directory.chmod(0o755)
        if "secret" in volume or "configMap" in volume:
            self._write(directory, volume, volume)
        elif "projected" in volume:
            for source in volume["projected"].get("sources", []):
                self._write(directory, source, volume["projected"])
        else:
            directory.chmod(0o777)

    def _write(self, directory: Path, source: Mapping[str, Any], volume: Mapping[str, Any]) -> None:
        """Write the data of a secret or a ConfigMap as files."""
        kind = SECRET if "secret" in source else CONFIG_MAP
        wanted = source[kind.field]
        data = read_data(self._cluster, kind, self._pod["metadata"]["namespace"], wanted)
        mode = volume.get("defaultMode", wanted.get("defaultMode", _MODE))
        items = wanted.get("items") or [{"key": key, "path": key} for key in data]
        for item in items:
            if item["key"] not in data:
                if wanted.get("optional"):
                    continue
                raise ContainerConfigError(
                    f"references non-existent {kind.name} key: {item['key']}"
                )
            path = directory / item["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data[item["key"]])
            path.chmod(item.get("mode", mode))

    def _mount(self, mount: Mapping[str, Any], volumes: Mapping[str, Any]) -> Mount:
        volume = volumes[mount["name"]]
        source = self._directory / mount["name"]
        is_data = not volume.keys().isdisjoint({"secret", "configMap", "projected"})
        if mount.get("subPath"):
            source /= mount["subPath"]
            if not source.exists():
                # As a kubelet does. In a volume of data, it stays empty.
                source.mkdir(parents=True)
                source.chmod(0o777)
        return Mount(mount["mountPath"], source, read_only=is_data or mount.get("readOnly", False))

    def _hosts(self) -> Iterator[Mount]:
        aliases = self._pod["spec"].get("hostAliases", [])
        if aliases:
            lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost"]
            lines += ["\t".join([one["ip"], *one.get("hostnames", [])]) for one in aliases]
            (file := self._directory / ".hosts").write_text("\n".join(lines) + "\n", "utf-8")
            file.chmod(_MODE)
            yield Mount(_HOSTS, file)
