"""A build, or an earlier deployment, becomes the current deployment of a DAGs folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from bigflow_backend.deployment.act import act, deploying
from bigflow_backend.deployment.built import built_name, with_image
from bigflow_backend.deployment.plan import Rules, make_plan
from bigflow_backend.ground.errors import UserError

if TYPE_CHECKING:
    from bigflow_backend.dags.manifest import Manifest
    from bigflow_backend.deployment.act import Project
    from bigflow_backend.deployment.plan import Plan
    from bigflow_backend.deployment.record import Deployment


@dataclass(frozen=True, kw_only=True)
class DeployOptions:
    """The choices of whoever deploys."""

    action: str
    """The name of the command."""
    keep_days: int
    airflow_url: str | None = None
    wait: float = 0
    """The seconds to wait for another deployment."""
    say: Callable[[str], None] = print
    """Receives the lines of progress."""


def plan_dags(manifest: Manifest, project: Project, options: DeployOptions) -> Plan:
    """Return what a deployment would do. Nothing is written, and nothing is locked.

    :raises UserError: if the deployment would not be possible.
    """
    current = project.current()
    rules = Rules(
        now=datetime.now(timezone.utc).replace(microsecond=0),
        keep_days=options.keep_days,
        drained=_drained(None if current is None else current.manifest, options.airflow_url),
    )
    plan = make_plan(manifest, current, rules, action=options.action)
    project.check_files(plan)
    return plan


def deploy_dags(manifest: Manifest, project: Project, options: DeployOptions) -> Plan:
    """Write the DAG files, whose image the registry has, into the folder.

    :raises UserError: if another deployment is under way, or the folder refuses.
    """
    with deploying(project, wait=options.wait, say=options.say) as lock:
        plan = plan_dags(manifest, project, options)
        if not plan.is_empty:
            act(project, plan, lock)
        return plan


def live_part(manifest: Manifest) -> Manifest:
    """Return the manifest without the retired DAGs: what it deploys a second time."""
    live = tuple(dag for dag in manifest.dags if dag.retired is None)
    return replace(manifest, dags=live, only=(), deploy_before=None)


def earlier_deployment(project: Project, version: str | None) -> Deployment:
    """Return the deployment before the current one, or the last one of a version.

    :raises UserError: if the folder does not remember it.
    """
    found = list(project.history())
    if not found:
        raise UserError(f"nothing is deployed in {project.folder.url}", hint="bigflow deploy")
    others = found[1:]
    if version is None and others:
        return others[0]
    for one in others:
        if version in {one.manifest.version, one.manifest.version.replace("+", "-")}:
            return one
    known = ", ".join(dict.fromkeys(one.manifest.version for one in others))
    wanted = "has no deployment before the current one"
    if version is not None:
        wanted = f"has no earlier deployment of {version!r}"
    raise UserError(
        f"{project.folder.url} {wanted}",
        hint=f"it remembers {known}: bigflow deployments" if known else "bigflow deployments",
    )


def with_digest(manifest: Manifest, digest: str) -> Manifest:
    """Return the manifest whose DAGs name the image with its digest.

    :raises UserError: if they name another one.
    """
    name, known = built_name(manifest)
    if known is not None and known != digest:
        raise UserError(
            f"the DAG files name {name}@{known}, and the image has the digest {digest}",
            hint="build all parts together: bigflow build",
        )
    return manifest if known else with_image(manifest, name, f"{name}@{digest}")


def _drained(manifest: Manifest | None, url: str | None) -> frozenset[str]:
    if url is None or manifest is None:
        return frozenset()
    from bigflow_backend.dags.airflow.api import activities

    found = activities(url, [dag.dag_id for dag in manifest.dags if dag.retired])
    return frozenset(dag_id for dag_id, activity in found.items() if activity and activity.drained)
