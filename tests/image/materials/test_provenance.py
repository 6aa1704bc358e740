"""The provenance of an image, and the documents in a registry."""

from __future__ import annotations

import hashlib
import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from bigflow_backend.ground.errors import BigflowWarning
from support.distribution import make_wheel
from support.faulty_registry import Failure
from support.registry import installed

if TYPE_CHECKING:
    from pathlib import Path

    from bigflow_backend.image.image import PublishedImage
    from support.faulty_registry import FaultyRegistry
    from support.layered import LayeredProject
    from support.registry import Registry

_URL = "https://user:secret-word@git.example.com/team/demo?token=secret-word"


def test_the_statement(layered_project: LayeredProject) -> None:
    library = make_wheel(layered_project.wheels, "library", "2.0", {"library.py": ""})
    layered_project.require("library")
    project = layered_project.root / "pyproject.toml"
    project.write_text(f'{project.read_text()}[project.urls]\nsource = "{_URL}"\n')
    image = layered_project.build(tags=("secret-word-is-a-tag",), build_args={})
    statement = _statement(image)
    info = layered_project.info(image)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    assert statement["subject"] == [{"name": image.tag, "digest": _sha256(image.digest)}]
    definition = statement["predicate"]["buildDefinition"]
    assert definition["externalParameters"] == {
        "project": "demo",
        "version": "1.0.0",
        "settings": {
            "builder": "layered",
            "platforms": ["linux/amd64"],
            "base-image": "docker-archive:base.tar",
            "network": "none",
        },
    }
    found = {entry["name"]: entry["digest"] for entry in definition["resolvedDependencies"]}
    assert found["source"] == {"gitCommit": "c0ffee"}
    assert found["docker-archive:base.tar"] == _sha256(info["base"]["digest"])
    assert found[info["wheel"]["name"]] == {"sha256": info["wheel"]["sha256"]}
    digest = hashlib.sha256(library.read_bytes()).hexdigest()
    assert found["library==2.0"] == {"sha256": digest}
    text = _path(image).read_text("utf-8")
    assert "secret-word" not in text
    assert str(layered_project.root.parent) not in text
    again = layered_project.build(tags=("secret-word-is-a-tag",))
    assert _path(again).read_text("utf-8") == text


def test_both_documents_in_a_registry(layered_project: LayeredProject, registry: Registry) -> None:
    repository = f"{registry.address}/team/documents"
    image = layered_project.build(repository=repository, push=True, export_tar=False)
    documents = {d["file"]: d for d in layered_project.info(image)["documents"]}
    assert sorted(documents) == ["image-1.0.0.cdx.json", "image-1.0.0.provenance.json"]
    skopeo = installed("skopeo", package="skopeo")

    def inspect(reference: str) -> Any:
        place = f"docker://{repository}{reference}"
        done = subprocess.run(
            [skopeo, "inspect", "--raw", "--tls-verify=false", place],
            capture_output=True,
            check=True,
        )
        return json.loads(done.stdout)

    listed = inspect(f":{str(image.digest).replace(':', '-')}")
    assert [e["digest"] for e in listed["manifests"]] == [d["digest"] for d in documents.values()]
    for name, document in documents.items():
        manifest = inspect(f"@{document['digest']}")
        assert manifest["subject"]["digest"] == image.digest
        (layer,) = manifest["layers"]
        content = registry.blob_path(layer["digest"]).read_bytes()
        assert content == image.info.with_name(name).read_bytes()
        assert layer["annotations"] == {"org.opencontainers.image.title": name}
    assert inspect(":1.0.0")["annotations"]["org.opencontainers.image.version"] == "1.0.0"


def test_a_registry_that_refuses_the_documents(
    layered_project: LayeredProject, faulty_registry: FaultyRegistry
) -> None:
    body = b'{"errors": [{"code": "MANIFEST_INVALID", "message": "unknown media type"}]}'
    faulty_registry.failures.append(Failure("PUT", "/manifests/sha256:", 400, body=body))
    with pytest.warns(BigflowWarning, match=r"is pushed, but .*400 .*unknown media type"):
        image = layered_project.build(
            repository=f"{faulty_registry.address}/team/refused", push=True, export_tar=False
        )
    assert image.pushed
    assert [d["digest"] for d in layered_project.info(image)["documents"]] == [None, None]


def _sha256(digest: str | None) -> dict[str, str]:
    return {"sha256": str(digest).removeprefix("sha256:")}


def _path(image: PublishedImage) -> Path:
    return image.info.with_name(f"image-{image.version}.provenance.json")


def _statement(image: PublishedImage) -> Any:
    return json.loads(_path(image).read_text("utf-8"))
