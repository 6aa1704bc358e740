"""The in-toto statement of an image: what it was built from, and how (SLSA provenance v1).

It has no time and no random number, so equal builds have equal statements. It is not signed.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
https://slsa.dev/spec/v1.0/provenance
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from bigflow_backend.ground.foreign.urls import redacted
from bigflow_backend.image.dockerfile import project_source
from bigflow_backend.image.image import StoredImage
from bigflow_backend.image.materials.names import image_purl, name_of, public_name, python_purl

if TYPE_CHECKING:
    from bigflow_backend.image.image import BuildRequest, Image, PublishedImage

PREDICATE = "https://slsa.dev/provenance/v1"
_STATEMENT = "https://in-toto.io/Statement/v1"
_BUILD_TYPE = "urn:bigflow-backend:build-image:1"
# These concern the machine that builds, or the places of the result.
_OF_THE_MACHINE = {
    "find_links", "timeout", "idle_timeout", "insecure_registries", "registry_mirrors", "push",
    "load", "export_tar", "oci_layout", "tags",
}  # fmt: skip
_SECRET_ID = re.compile(r"(?:^|,)id=([^,]*)")


def provenance(request: BuildRequest, image: Image, published: PublishedImage) -> str:
    """Return the text of the statement."""
    document = {
        "_type": _STATEMENT,
        "subject": [_subject(image, published)],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": _BUILD_TYPE,
                "externalParameters": {
                    "project": request.project.name,
                    "version": request.project.version.text,
                    "settings": _settings(request),
                },
                "resolvedDependencies": list(_dependencies(request, image)),
            },
            "runDetails": {
                "builder": {
                    "id": _builder_id(image),
                    "version": {
                        "bigflow-backend": version("bigflow-backend"),
                        "builder": image.builder,
                        **({"compression": image.compression} if image.compression else {}),
                    },
                }
            },
        },
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _builder_id(image: Image) -> str:
    kind = "layered" if isinstance(image.content, StoredImage) else "engine"
    return f"urn:bigflow-backend:{kind}"


def _subject(image: Image, published: PublishedImage) -> dict[str, Any]:
    """Return the image by the digest of its manifest; by its id if no manifest is known."""
    digest = published.digest or image.digest
    found = {"name": published.tag, "digest": _digest(digest or image.id)}
    return found if digest else {**found, "annotations": {"digest": "of the configuration"}}


def _settings(request: BuildRequest) -> dict[str, Any]:
    """Return the settings that are not the default, without secrets and paths of this machine."""
    settings = request.settings
    found = {}
    for item in dataclasses.fields(settings):
        value = getattr(settings, item.name)
        default = (
            item.default_factory()
            if item.default_factory is not dataclasses.MISSING
            else item.default
        )
        if item.name in _OF_THE_MACHINE or value == default:
            continue
        if item.name == "secrets":
            value = [match[1] for text in value if (match := _SECRET_ID.search(text))]
        elif item.name == "base_image":
            value = public_name(value)
        found[item.name.replace("_", "-")] = _without_secrets(value)
    return found


def _without_secrets(value: Any) -> Any:
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {redacted(key): _without_secrets(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_secrets(item) for item in value]
    return value


def _dependencies(request: BuildRequest, image: Image) -> Iterator[dict[str, Any]]:
    """Yield the commit, the base, the project's wheel and the installed wheels."""
    project = request.project
    if project.version.commit is not None:
        source = redacted(project_source(project))
        place = {"uri": f"git+{source}@{project.version.commit}"} if source else {}
        yield {"name": "source", **place, "digest": {"gitCommit": project.version.commit}}
    if image.base is not None:
        digest = image.base.digest or image.base.id
        purl = image_purl(image.base.name, image.base.digest)
        yield {
            "name": public_name(image.base.name),
            **({"uri": purl} if purl else {}),
            **({"digest": _digest(digest)} if digest else {}),
        }
    yield {
        "name": request.wheel.path.name,
        "uri": python_purl(f"{project.name}=={project.version.text}"),
        "digest": {"sha256": request.wheel.sha256},
    }
    hashes = {} if image.materials is None else image.materials.hashes
    for line in image.dependencies or ():
        known = hashes.get(name_of(line))
        yield {
            "name": line,
            "uri": python_purl(line),
            **({"digest": {"sha256": known}} if known else {}),
        }


def _digest(text: str) -> dict[str, str]:
    algorithm, _, value = text.partition(":")
    return {algorithm: value}
