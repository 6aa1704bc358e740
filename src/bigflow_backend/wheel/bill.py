"""The bill of materials of a wheel: the locked versions of its dependencies.

It is in ``.dist-info/sboms/``, as PEP 770 says: https://peps.python.org/pep-0770/
An sdist has it as a file, because the lock may be that of a workspace above the project.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bigflow_backend.ground.files import read_bounded
from bigflow_backend.ground.limits import LOCK_FILE
from bigflow_backend.project.locked import locked_pins

if TYPE_CHECKING:
    from bigflow_backend.project.locked import LockedPin
    from bigflow_backend.project.project import Project

BILL = "bigflow-dependencies.cdx.json"
"""The file, in an sdist and in ``sboms/`` of a wheel."""


def bill_of_wheel(project: Project) -> bytes | None:
    """Return the CycloneDX document; None if no lock pins the dependencies.

    Equal locks give equal documents.

    :raises UserError: if requirements.txt is not valid, or a lock is too large.
    """
    file = project.root / BILL
    if (project.root / "PKG-INFO").is_file() and file.is_file():  # this is an unpacked sdist
        return read_bounded(file, LOCK_FILE)
    locked = locked_pins(project)
    if locked is None:
        return None
    import json
    import uuid

    own = f"{project.name}=={project.version.text}"
    components = [_component(pin) for pin in locked.pins]
    serial = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps([own, components]))
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": own,
                "name": project.name,
                "version": project.version.text,
                "properties": [{"name": "bigflow:lock", "value": locked.place}],
            }
        },
        "components": components,
    }
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def bill_files(project: Project) -> dict[str, bytes]:
    """Return the document by its name in ``.dist-info``, or nothing.

    :raises UserError: as :func:`bill_of_wheel`.
    """
    content = bill_of_wheel(project)
    return {} if content is None else {f"sboms/{BILL}": content}


def _component(pin: LockedPin) -> dict[str, Any]:
    """Return a component. The hashes are those of all files, of which an installer takes one."""
    purl = f"pkg:pypi/{pin.name}@{quote(pin.version, safe='')}"
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": pin.name,
        "version": pin.version,
        "purl": purl,
    }
    if pin.hashes:
        hashes = [{"alg": "SHA-256", "content": digest} for digest in pin.hashes]
        reference = {"type": "distribution", "url": purl, "hashes": hashes}
        found["externalReferences"] = [reference]
    return found
