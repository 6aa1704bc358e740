"""The CycloneDX document: the wheels of an image, and the packages of its base.

It has neither a time nor a random number, so equal images have equal documents.

https://cyclonedx.org/docs/1.6/json/ and https://github.com/package-url/purl-spec
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from bigflow_backend.image.image import BuildRequest, Image
    from bigflow_backend.image.materials.packages import BasePackages, Package


def bill_of_materials(request: BuildRequest, image: Image) -> str | None:
    """Return the text of the document; None if the builder does not know the materials."""
    materials = image.materials
    if materials is None or image.dependencies is None:
        return None
    components = {
        component["bom-ref"]: component
        for component in (
            _project(request),
            *(_wheel(line, "dependency") for line in image.dependencies),
            *(_wheel(f"{n}=={v}", "base") for n, v in sorted(materials.installed.items())),
            *_system(materials.base),
        )
    }
    document: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, image.id)}",
        "version": 1,
        "metadata": {
            "tools": {
                "components": [
                    {
                        "type": "application",
                        "name": "bigflow-backend",
                        "version": version("bigflow-backend"),
                    }
                ]
            },
            "component": {
                "type": "container",
                "bom-ref": image.id,
                "name": request.project.name,
                "version": request.project.version.text,
                "properties": _properties(image, materials.base),
            },
        },
        "components": list(components.values()),
        "compositions": [
            {
                "aggregate": "incomplete",
                "assemblies": [image.id],
            }
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _properties(image: Image, base: BasePackages) -> list[dict[str, str]]:
    found = [("bigflow:image:id", image.id), ("bigflow:image:digest", image.digest)]
    if image.base is not None:
        found += [
            ("bigflow:base:name", image.base.name),
            ("bigflow:base:digest", image.base.digest),
        ]
    found += [("bigflow:missing", text) for text in base.missing]
    return [{"name": name, "value": value} for name, value in found if value]


def _project(request: BuildRequest) -> dict[str, Any]:
    component = _wheel(f"{request.project.name}=={request.project.version.text}", "project")
    return component | {"hashes": [{"alg": "SHA-256", "content": request.wheel.sha256}]}


def _wheel(line: str, source: str) -> dict[str, Any]:
    """Return the component of ``name==version``, which may have extras."""
    from packaging.utils import canonicalize_name

    stated, _, number = line.partition("==")
    name = canonicalize_name(stated.partition("[")[0].strip())
    return {
        **_component(name, number, f"pkg:pypi/{name}{_at(number)}"),
        "properties": [{"name": "bigflow:source", "value": source}],
    }


def _system(base: BasePackages) -> Iterator[dict[str, Any]]:
    if base.system:
        yield {
            "type": "operating-system",
            "bom-ref": f"os:{base.system}-{base.release}",
            "name": base.system,
            **({"version": base.release} if base.release else {}),
        }
    for package in base.packages:
        yield _component(package.name, package.version, _purl(package, base))


def _component(name: str, number: str, purl: str) -> dict[str, Any]:
    stated = {"version": number} if number else {}
    return {"type": "library", "bom-ref": purl, "name": name, **stated, "purl": purl}


def _purl(package: Package, base: BasePackages) -> str:
    release = f"&distro={base.system}-{base.release}" if base.release else ""
    name = f"{base.system.lower()}/{quote(package.name.lower(), safe='')}"
    return f"pkg:{package.kind}/{name}{_at(package.version)}?arch={package.architecture}{release}"


def _at(number: str) -> str:
    return f"@{quote(number, safe=':')}" if number else ""
