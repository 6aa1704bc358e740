"""``bigflow project-version`` and ``bigflow release``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from bigflow_backend.ground.report import print_warning
from bigflow_backend.project.project import find_project
from bigflow_backend.version import project_version
from bigflow_backend.version.release import carry_out, plan_release


def print_version(argv: Sequence[str]) -> int:
    """Prints the version that wheel, image and DAGs carry."""
    parser = argparse.ArgumentParser(
        prog="bigflow project-version",
        description="print the version that wheel, image and DAGs carry",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--git-commit", metavar="REV", help="the version of this commit, not of the work tree"
    )
    parser.add_argument("--json", action="store_true", help="also say where it comes from")
    values = parser.parse_args(argv)
    project = find_project(Path.cwd())
    version = (
        project.version
        if values.git_commit is None
        else project_version(
            project.root,
            distribution=project.name,
            static=project.static_version,
            tag_prefix=project.settings.version.tag_prefix,
            revision=values.git_commit,
        )
    )
    for note in version.notes:
        print_warning(note)
    if values.json:
        shown = {
            "version": version.text,
            "source": version.source,
            "commit": version.commit,
            "image_tag": version.image_tag,
            "notes": version.notes,
        }
        print(json.dumps(shown, indent=2, sort_keys=True))
    else:
        print(version)
    return 0


def release(argv: Sequence[str]) -> int:
    """Tags the current commit with the next version, and pushes the tag."""
    parser = argparse.ArgumentParser(
        prog="bigflow release",
        description="tag this commit with the next version, and push the tag",
        allow_abbrev=False,
    )
    parser.add_argument(
        "wanted",
        nargs="?",
        default="minor",
        metavar="major|minor|patch|VERSION",
        help="what to raise, or the version itself (default: minor)",
    )
    parser.add_argument(
        "-i",
        "--ssh-identity-file",
        "--ssh_identity_file",
        metavar="FILE",
        type=Path,
        help="the private key to push with",
    )
    parser.add_argument("--dry-run", action="store_true", help="only show what would be done")
    parser.add_argument("--no-push", action="store_true", help="keep the tag here")
    values = parser.parse_args(argv)
    project = find_project(Path.cwd())
    plan = plan_release(
        project.root,
        distribution=project.name,
        static=project.static_version,
        tag_prefix=project.settings.version.tag_prefix,
        wanted=values.wanted,
        push=not values.no_push,
        identity_file=values.ssh_identity_file,
    )
    print(f"{project.name} {plan.previous or 'without a release'} -> {plan.version}")
    print(f"tag {plan.tag} on {plan.commit[:12]}")
    for command in plan.commands:
        print(f"  {command}")
    if values.dry_run:
        print("nothing was done (--dry-run)")
        return 0
    carry_out(plan)
    where = f"and pushed to {plan.remote}" if plan.remote else "here; nothing was pushed"
    print(f"{plan.tag} is made {where}")
    return 0
