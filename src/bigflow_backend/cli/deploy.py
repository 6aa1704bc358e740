"""``bigflow deploy`` and its parts: what is built reaches the registry and the DAGs folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigflow_backend.cli.build import interpreter
from bigflow_backend.cli.report import print_result
from bigflow_backend.deployment.act import Project as Place
from bigflow_backend.deployment.act import deploying
from bigflow_backend.deployment.built import (
    BuiltImage,
    built_name,
    read_built,
    read_image,
    with_image,
)
from bigflow_backend.deployment.deploy import (
    DeployOptions,
    deploy_dags,
    earlier_deployment,
    live_part,
    plan_dags,
    with_digest,
)
from bigflow_backend.deployment.folder import REGISTRY, open_folder
from bigflow_backend.deployment.image import copy_image, is_in_registry, push_built
from bigflow_backend.deployment.lock import holder
from bigflow_backend.deployment.registry import moving_tag
from bigflow_backend.ground.directories import temporary_files_together
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.progress import print_progress, step
from bigflow_backend.image.reference import image_reference, remote_name
from bigflow_backend.image.session import open_session
from bigflow_backend.project.workflows import describe_deployment

if TYPE_CHECKING:
    from bigflow_backend.cli.commands import Call
    from bigflow_backend.dags.manifest import DagEntry, Manifest
    from bigflow_backend.deployment.plan import Plan
    from bigflow_backend.deployment.record import Deployment
    from bigflow_backend.image.session import Session
    from bigflow_backend.project.project import Project
    from bigflow_backend.project.workflows import DeploymentDescription


def deploy(call: Call) -> int:
    """Push the image, then write the DAG files."""
    return _deploy(call, image=True, dags=True)


def deploy_image(call: Call) -> int:
    """Push the image."""
    return _deploy(call, image=True, dags=False)


def deploy_dags_only(call: Call) -> int:
    """Write the DAG files, if the registry has their image."""
    return _deploy(call, image=False, dags=True)


def deployments(call: Call) -> int:
    """List the deployments in a DAGs folder."""
    project = call.project()
    place = _place(project, _description(call, project, call.values.config), _given(call))
    found = list(place.history())
    under_way, begun = holder(place.folder, place.package), place.interrupted()
    if under_way is not None:
        print_progress(f"{under_way.owner} is deploying since {under_way.since} UTC")
    elif begun is not None:
        print_progress(
            f"the deployment of {begun.manifest.version} by {begun.by} was interrupted: the next"
            " `bigflow deploy` finishes it, or drops it if nothing of it is there"
        )
    print_result(
        call.values,
        [_as_data(one, is_current=one is found[0]) for one in found],
        (_line(one, is_current=one is found[0]) for one in found)
        if found
        else [f"nothing is deployed in {place.folder.url}"],
    )
    return 0


def rollback(call: Call) -> int:
    """Deploy an earlier deployment again, by the digest of its image."""
    project = call.project()
    place = _place(project, _description(call, project, call.values.config), _given(call))
    earlier = earlier_deployment(place, call.values.version)
    manifest = live_part(earlier.manifest)
    with open_session(project.settings.image, print_progress) as session:
        for image in sorted({dag.image for dag in manifest.dags}):
            _check_image(image, session)
    return _redeploy(call, manifest, place, "rollback")


def promote(call: Call) -> int:
    """Deploy what is current in one configuration to another one, with the same image."""
    project, values = call.project(), call.values
    source = _description(call, project, values.source)
    target = _description(call, project, values.target)
    current = _place(project, source, values.to).current()
    if current is None:
        raise UserError(
            f"nothing is deployed in the configuration {values.source!r}",
            hint=f"bigflow deploy --config {values.source}",
        )
    place = _place(project, target, _given(call))
    manifest = live_part(current.manifest)
    copies: dict[str, str] = {}
    for image in sorted({manifest.image, *(dag.image for dag in manifest.dags)}):
        name, _, digest = image.partition("@")
        tag = remote_name(name).tag
        copies[image] = f"{image_reference(target.docker_repository, tag)}@{digest}"
        manifest = with_image(manifest, image, copies[image])
    if not values.dry_run:
        with open_session(project.settings.image, print_progress) as session:
            plan_dags(manifest, place, _options(call, "promote"))
            for image, copy in copies.items():
                _check_image(image, session)
                with step(f"copying {image}"):
                    copy_image(image, copy.partition("@")[0], session, print_progress)
                _check_image(copy, session)
    return _redeploy(call, manifest, place, "promote")


def _redeploy(call: Call, manifest: Manifest, place: Place, action: str) -> int:
    options = _options(call, action)
    if call.values.dry_run:
        plan = plan_dags(manifest, place, options)
    else:
        plan = deploy_dags(manifest, place, options)
    name, _, digest = manifest.image.partition("@")
    result = _result(
        manifest.version, name, digest or None, place, plan, is_dry_run=call.values.dry_run
    )
    print_result(call.values, result, _lines(result, plan))
    return 0


def _check_image(image: str, session: Session) -> None:
    name, _, digest = image.partition("@")
    with step(f"asking for {name}"):
        if not digest or not is_in_registry(name, digest, session):
            raise UserError(
                f"the registry does not have the image {image} any more",
                hint="build that version again, and deploy it: git checkout, bigflow build,"
                " bigflow deploy",
            )


def _deploy(call: Call, *, image: bool, dags: bool) -> int:
    project, values = call.project(), call.values
    given = vars(values)
    if given.get("clear_dags_folder"):
        raise UserError(
            "--clear-dags-folder of BigFlow 1.x deletes the DAG files of all projects",
            hint="remove it: a deployment removes the files of this project that are not needed",
        )
    directory = given.get("dags_dir")
    built = read_built(project, directory and Path(directory).absolute())
    name, _ = built_name(built.manifest)
    description = _description(call, project, values.config)
    _check_name(name, description, given.get("docker_repository"))
    archive = given.get("image_tar_path")
    built_image = read_image(
        project, built.manifest.version, archive and _file(archive, "--image-tar-path")
    )
    if built_image.name != name:
        raise UserError(
            f"the DAG files name the image {name}, and the built image is {built_image.name}",
            hint="build all parts together: bigflow build",
        )
    if built.manifest.version != project.version.text:
        print_progress(
            f"the build is of {built.manifest.version}; the project is {project.version.text} now"
        )
    place = _place(project, description, _given(call)) if dags else None
    with (
        temporary_files_together(),
        open_session(project.settings.image, print_progress) as session,
    ):
        plan, digest = _run(call, built.manifest, built_image, place, session, pushes=image)
    result = _result(
        built_image.version, built_image.name, digest, place, plan, is_dry_run=values.dry_run
    )
    print_result(values, result, _lines(result, plan))
    return 0


def _run(
    call: Call,
    manifest: Manifest,
    image: BuiltImage,
    place: Place | None,
    session: Session,
    *,
    pushes: bool,
) -> tuple[Plan | None, str | None]:
    """Do the steps in their order: no DAG file before its image."""
    options = _options(call, "deploy")
    plan: Plan | None = None
    if place is not None:  # what the folder refuses fails before the push
        with step(f"reading {place.folder.url}"):
            if pushes and not call.values.dry_run:  # a lock is a first write
                with deploying(place, wait=options.wait, say=options.say):
                    pass
            known = with_digest(manifest, image.digest) if image.digest else manifest
            plan = plan_dags(known, place, options)
    if call.values.dry_run:
        return plan, image.digest
    if pushes:
        with step(f"pushing {image.name}"):
            digest = push_built(image, call.project().root, session, print_progress)
    else:
        digest = _checked_digest(manifest, image, session)
    if place is None:
        return None, digest
    return deploy_dags(with_digest(manifest, digest), place, options), digest


def _checked_digest(manifest: Manifest, image: BuiltImage, session: Session) -> str:
    digest = built_name(manifest)[1] or image.digest
    if digest is None or not is_in_registry(image.name, digest, session):
        raise UserError(
            f"the registry does not have the image {image.name} of this build",
            hint="push it first: bigflow deploy-image",
        )
    return digest


def _options(call: Call, action: str) -> DeployOptions:
    values = call.values
    if values.keep_days is not None and values.keep_days < 0:
        raise UserError(
            f"--keep-days must be a number of days: got {values.keep_days}",
            hint="write it like --keep-days 30",
        )
    keep_days = call.project().settings.dags.keep_retired_days
    return DeployOptions(
        action=action,
        keep_days=keep_days if values.keep_days is None else values.keep_days,
        airflow_url=values.airflow_url,
        wait=values.wait,
        say=print_progress,
    )


def _description(call: Call, project: Project, config: str | None) -> DeploymentDescription:
    with step("reading deployment_config.py"):
        python = interpreter(call.values.python)
        return describe_deployment(project, python=python, config=config)


def _place(project: Project, description: DeploymentDescription, given: str | None = None) -> Place:
    place, root = given, Path.cwd()
    if place is None:
        place, root = description.properties.get("dags_bucket"), project.root
    if not isinstance(place, str) or not place:
        raise UserError(
            f"deployment_config.py: the configuration {description.config!r} has no dags_bucket",
            hint="add the property: 'dags_bucket': 'gs://BUCKET/dags', or a directory; or give"
            " --dags-folder",
        )
    if place == REGISTRY:
        tag = moving_tag(description.config)
        place = f"{REGISTRY}://{description.docker_repository}:{tag}"
    return Place(open_folder(place, root, project.settings.image), project.package)


def _given(call: Call) -> str | None:
    """Return the DAGs folder of the command line.

    :raises UserError: if it names two.
    """
    folder: str | None = call.values.dags_folder
    to: str | None = call.values.to
    if folder and to:
        raise UserError("--to and --dags-folder name two places", hint="give only one of them")
    return folder or to


def _check_name(name: str, description: DeploymentDescription, given: str | None) -> None:
    repository = given or description.docker_repository
    if name.rpartition(":")[0] != repository:
        raise UserError(
            f"the build is for {name.rpartition(':')[0]}, and the configuration"
            f" {description.config!r} has {repository}",
            hint=f"build for it: bigflow build --config {description.config}",
        )


def _file(text: str, option: str) -> Path:
    path = Path(text).absolute()
    if not path.is_file():
        raise UserError(f"{option} must be a file: got {text!r}", hint="check the path")
    return path


def _result(
    version: str,
    image: str,
    digest: str | None,
    place: Place | None,
    plan: Plan | None,
    *,
    is_dry_run: bool,
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "version": version,
        "image": image,
        "digest": digest,
        "folder": None if place is None else place.folder.url,
        "dry_run": is_dry_run,
    }
    if plan is not None:
        deployment = plan.next if plan.current is None or not plan.is_empty else plan.current
        result |= _as_data(deployment, is_current=not is_dry_run)
        result["changes"] = {
            "new": plan.new,
            "changed": plan.changed,
            "retired": plan.retired,
            "removed": plan.removed,
            "unchanged": plan.unchanged,
        }
    return result


def _lines(result: dict[str, Any], plan: Plan | None) -> Iterator[str]:
    digest = result["digest"]
    yield f"image      {result['image']}{f'@{digest}' if digest else ''}"
    if plan is not None:
        yield f"folder     {result['folder']}"
        package = plan.next.manifest.package
        for kind, names in result["changes"].items():
            for name in names:
                yield f"{kind:10} {package}/{name}"
        limit = plan.next.manifest.deploy_before
        if limit is not None and not plan.is_empty:
            yield f"           Airflow must read them before {limit:%Y-%m-%d %H:%M} UTC"
    if result["dry_run"]:
        yield "nothing was deployed: this is a dry run"
    elif plan is not None and plan.is_empty:
        yield f"{result['version']} is deployed already"
    elif plan is not None:
        yield f"deployed   {result['version']}"


def _as_data(deployment: Deployment, *, is_current: bool) -> dict[str, Any]:
    manifest = deployment.manifest
    return {
        "id": deployment.id,
        "version": manifest.version,
        "commit": manifest.commit,
        "image": manifest.image.partition("@")[0],
        "digest": deployment.digest or None,
        "when": f"{deployment.when:%Y-%m-%d %H:%M:%S}",
        "by": deployment.by,
        "action": deployment.action,
        "current": is_current,
        "files": [_dag_data(dag) for dag in manifest.dags],
    }


def _dag_data(dag: DagEntry) -> dict[str, Any]:
    return {
        "file": dag.file,
        "dag_id": dag.dag_id,
        "version": dag.version,
        "start_date": dag.start_date,
        "retired": dag.retired and f"{dag.retired.since:%Y-%m-%d %H:%M:%S}",
    }


def _line(deployment: Deployment, *, is_current: bool) -> str:
    manifest = deployment.manifest
    retired = sum(dag.retired is not None for dag in manifest.dags)
    files = f"{len(manifest.dags)} file{'s' if len(manifest.dags) != 1 else ''}"
    if retired:
        files += f", {retired} retired"
    action = "" if deployment.action == "deploy" else f", {deployment.action}"
    return (
        f"{'*' if is_current else ' '} {manifest.version}  {(manifest.commit or 'no commit')[:12]}"
        f"  {deployment.digest[:19] or 'no digest'}  {deployment.when:%Y-%m-%d %H:%M} UTC"
        f"  {deployment.by}{action}  {files}"
    )
