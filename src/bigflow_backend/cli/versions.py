"""``bigflow project-version`` and ``bigflow release``"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bigflow_backend.cli.report import print_result
from bigflow_backend.ground.progress import waiting
from bigflow_backend.ground.report import print_warning

if TYPE_CHECKING:
    from bigflow_backend.cli.commands import Call
    from bigflow_backend.project.project import Project
    from bigflow_backend.version.release import ReleasePlan


def project_version(call: Call) -> int:
    """Print the version of wheel, image and DAGs."""
    project, commit = call.project(), call.values.git_commit
    version = project.version if commit is None else project.version_at(commit)
    for note in version.notes:
        print_warning(note)
    result = {
        "version": version.text,
        "source": version.source,
        "commit": version.commit,
        "image_tag": version.image_tag,
        "notes": version.notes,
    }
    print_result(call.values, result, [version.text])
    return 0


def release(call: Call) -> int:
    """Tag the current commit with the next version, and push the tag."""
    from bigflow_backend.version.release import carry_out, plan_release

    project, values = call.project(), call.values
    key = values.ssh_identity_file
    plan = plan_release(
        project.root,
        distribution=project.name,
        static=project.static_version,
        tag_prefix=project.settings.version.tag_prefix,
        wanted=values.wanted,
        push=not values.no_push,
        identity_file=Path(key) if key else None,
    )
    if not values.json:
        print("\n".join(_lines(project, plan)))
    if not values.dry_run:
        with waiting(f"pushing {plan.tag}" if plan.remote else f"creating {plan.tag}"):
            carry_out(plan)
    where = f"and pushed to {plan.remote}" if plan.remote else "here, and not pushed"
    result = {
        "version": plan.version,
        "previous": plan.previous,
        "tag": plan.tag,
        "commit": plan.commit,
        "remote": plan.remote,
        "commands": plan.commands,
        "done": not values.dry_run,
    }
    done = f"{plan.tag} was created {where}"
    print_result(values, result, ["nothing was done (--dry-run)" if values.dry_run else done])
    return 0


def _lines(project: Project, plan: ReleasePlan) -> Iterator[str]:
    yield f"{project.name} {plan.previous or 'without a release'} -> {plan.version}"
    yield f"tag {plan.tag} on {plan.commit[:12]}"
    for command in plan.commands:
        yield f"  {command}"
