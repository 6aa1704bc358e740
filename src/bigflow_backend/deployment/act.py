"""The steps of a deployment.

Each step can be repeated. The journal names the deployment that is under way, whose document has
all its files: so the next command can finish it after a failure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from bigflow_backend.deployment.folder import STATE
from bigflow_backend.deployment.lock import locked
from bigflow_backend.deployment.record import checked_id, is_id, read_deployment
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.foreign.documents import DocumentError, read_json
from bigflow_backend.ground.limits import KIB, MANIFEST
from bigflow_backend.ground.progress import step
from bigflow_backend.ground.signals import set_outcome

if TYPE_CHECKING:
    from bigflow_backend.deployment.folder import Folder
    from bigflow_backend.deployment.lock import Lock
    from bigflow_backend.deployment.plan import Plan
    from bigflow_backend.deployment.record import Deployment

HISTORY = 30
"""The number of deployments that the folder remembers."""
_LIMIT = 4 * KIB


class _Pointer(TypedDict):
    id: str


@dataclass(frozen=True)
class Project:
    """The place of one project in a DAGs folder."""

    folder: Folder
    package: str

    @property
    def state(self) -> str:
        return f"{STATE}/{self.package}"

    def current(self) -> Deployment | None:
        """Return the deployment that is live; None before the first one.

        :raises UserError: if the folder does not answer, or its documents are not valid.
        """
        return self._pointed("current.json")

    def interrupted(self) -> Deployment | None:
        """Return the deployment that has begun and not ended."""
        return self._pointed("journal.json")

    def history(self) -> Iterator[Deployment]:
        """Yield the deployments, the newest first. The folder forgets old ones."""
        found = self.current()
        for _ in range(HISTORY):
            if found is None:
                return
            yield found
            found = self.before(found)

    def prune(self) -> None:
        """Remove the documents that the history does not need."""
        names = self.folder.names(self.state)
        ids = sorted(n.removesuffix(".json") for n in names if is_id(n.removesuffix(".json")))
        for deployment_id in ids[:-HISTORY]:
            self.folder.remove(f"{self.state}/{deployment_id}.json")

    def _read(self, deployment_id: str) -> Deployment | None:
        path = f"{self.state}/{deployment_id}.json"
        content = self.folder.read(path, MANIFEST)
        if content is None:
            return None
        where = f"{self.folder.url}/{path}"
        return read_deployment(
            content, deployment_id=deployment_id, package=self.package, where=where
        )

    def _pointed(self, name: str) -> Deployment | None:
        path = f"{self.state}/{name}"
        content = self.folder.read(path, _LIMIT)
        if content is None:
            return None
        try:
            deployment_id = checked_id(read_json(content, _Pointer)["id"])
        except DocumentError as error:
            raise UserError(
                f"{self.folder.url}/{path} {error}", hint="restore that file, or remove it"
            ) from error
        found = self._read(deployment_id)
        if found is None:
            raise UserError(
                f"{self.folder.url}/{self.state}/{deployment_id}.json is missing",
                hint=f"restore that file; or remove {path} to deploy without a history",
            )
        return found

    def before(self, deployment: Deployment) -> Deployment | None:
        """Return the deployment before, if the folder remembers it."""
        return None if deployment.previous is None else self._read(deployment.previous)

    def check_files(self, plan: Plan) -> None:
        """Check that the plan replaces and removes only files that this project has deployed.

        :raises UserError: for a file of somebody else, or one that somebody has changed.
        """
        before = {} if plan.current is None else plan.current.texts
        for name, text in before.items():
            self._check_unchanged(name, {text, plan.next.texts.get(name, text)})
        for name in plan.new:
            self._check_unchanged(name, {plan.next.texts[name]})
            if self.folder.read(name, MANIFEST) is not None:
                raise UserError(
                    f"{self.folder.url}/{name} is a second file of that DAG, not of this project",
                    hint=f"remove it: this deployment writes {self.package}/{name}",
                )

    def _check_unchanged(self, name: str, texts: set[str]) -> None:
        content = self.folder.read(f"{self.package}/{name}", MANIFEST)
        if content is not None and content not in {text.encode() for text in texts}:
            raise UserError(
                f"{self.folder.url}/{self.package}/{name} is not as this project has deployed it",
                hint="move that file out of the DAGs folder, and deploy again",
            )


@contextmanager
def deploying(project: Project, *, wait: float, say: Callable[[str], None]) -> Iterator[Lock]:
    """Hold the project's lock in the block, after the end of a deployment that was interrupted.

    :raises UserError: if another deployment is under way.
    """
    with locked(project.folder, project.package, wait=wait) as lock:
        _recover(project, lock, say)
        yield lock


def act(project: Project, plan: Plan, lock: Lock) -> Deployment:
    """Make the plan true. The pointer to the current deployment moves when all files are there.

    :raises UserError: if the folder refuses. The next deployment finishes this one, or drops it.
    """
    following = plan.next
    with step(f"writing the DAG files into {project.folder.url}"):
        project.check_files(plan)
        _write(project, f"{following.id}.json", following.as_json())
        lock.check()
        set_outcome(
            "the deployment is not complete: the next `bigflow deploy` finishes or drops it"
        )
        _write(project, "journal.json", _pointer(following))
        try:
            _complete(project, plan.current, following, lock)
        except UserError as error:
            hint = f"{error.hint}; then deploy again: it finishes what this deployment has begun"
            raise UserError(error.message, hint=hint) from error
        set_outcome("")
    return following


def _complete(
    project: Project, current: Deployment | None, following: Deployment, lock: Lock
) -> None:
    old = set() if current is None else set(current.texts)
    lock.check()
    project.folder.place(project.package, following.id, following.texts, old=old)
    lock.check()
    _write(project, "current.json", _pointer(following))
    project.folder.clear(project.package, following.id, old=old - set(following.texts))
    project.folder.remove(f"{project.state}/journal.json")
    project.prune()


def _recover(project: Project, lock: Lock, say: Callable[[str], None]) -> None:
    """Finish an interrupted deployment if Airflow may have seen it; else drop it."""
    begun = project.interrupted()
    if begun is None:
        return
    current = project.current()
    name = f"the deployment of {begun.manifest.version} by {begun.by}, {begun.when:%Y-%m-%d %H:%M}"
    is_current = current is not None and current.id == begun.id
    earlier = project.before(begun) if is_current else current
    before = {} if earlier is None else earlier.texts
    if is_current or _is_visible(project, begun, before):
        _complete(project, earlier, begun, lock)
        say(f"finished {name} UTC, which was interrupted")
    else:
        project.folder.remove(f"{project.state}/journal.json")
        project.folder.remove(f"{project.state}/{begun.id}.json")
        say(f"dropped {name} UTC: it was interrupted before any of its files was there")


def _is_visible(project: Project, begun: Deployment, before: Mapping[str, str]) -> bool:
    """Return whether a file of a deployment that has begun is live."""
    return any(
        project.folder.read(f"{project.package}/{name}", MANIFEST) == text.encode()
        for name, text in begun.texts.items()
        if before.get(name) != text
    )


def _write(project: Project, name: str, content: bytes) -> None:
    project.folder.write(f"{project.state}/{name}", content)


def _pointer(deployment: Deployment) -> bytes:
    return json.dumps({"id": deployment.id}).encode()
