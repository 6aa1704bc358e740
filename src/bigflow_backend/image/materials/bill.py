"""The CycloneDX document: the wheels of an image, and the packages of its base.

It has neither a time nor a random number, so equal images have equal documents.

https://cyclonedx.org/docs/1.6/json/ and https://github.com/package-url/purl-spec
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bigflow_backend.image.materials.names import at_version, name_of, public_name, python_purl
from bigflow_backend.image.materials.packages import BasePackages, Materials

if TYPE_CHECKING:
    from bigflow_backend.image.image import BuildRequest, Image
    from bigflow_backend.image.materials.packages import Package

_UNKNOWN = BasePackages(
    missing=("the installed wheels and the packages of the base, which an engine has installed",)
)


def bill_of_materials(request: BuildRequest, image: Image) -> str:
    """Return the text of the document."""
    materials = image.materials or Materials({}, _UNKNOWN)
    wheels = [
        _wheel(line, "dependency", materials.hashes.get(name_of(line)))
        for line in image.dependencies or ()
    ]
    components = {
        component["bom-ref"]: component
        for component in (
            _project(request),
            *wheels,
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
                "properties": _properties(image, _missing(materials, wheels)),
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


def _missing(materials: Materials, wheels: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    without = sum("hashes" not in wheel for wheel in wheels)
    return (
        *materials.base.missing,
        *([f"the hashes of {without} of {len(wheels)} wheels"] if without else []),
    )


def _properties(image: Image, missing: Iterable[str]) -> list[dict[str, str]]:
    found = [("bigflow:image:id", image.id), ("bigflow:image:digest", image.digest)]
    if image.base is not None:
        found += [
            ("bigflow:base:name", public_name(image.base.name)),
            ("bigflow:base:digest", image.base.digest),
        ]
    found += [("bigflow:missing", text) for text in missing]
    return [{"name": name, "value": value} for name, value in found if value]


def _project(request: BuildRequest) -> dict[str, Any]:
    line = f"{request.project.name}=={request.project.version.text}"
    return _wheel(line, "project", request.wheel.sha256)


def _wheel(line: str, source: str, sha256: str | None = None) -> dict[str, Any]:
    """Return the component of ``name==version``, which may have extras."""
    name, number = name_of(line), line.partition("==")[2]
    return {
        **_component(name, number, python_purl(line)),
        **({"hashes": [{"alg": "SHA-256", "content": sha256}]} if sha256 else {}),
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
    number, epoch = package.version, ""
    if package.kind == "rpm" and ":" in number:
        first, _, number = number.partition(":")
        epoch = f"&epoch={first}"
    qualifiers = f"?arch={package.architecture}{release}{epoch}"
    return f"pkg:{package.kind}/{name}{at_version(number)}{qualifiers}"
