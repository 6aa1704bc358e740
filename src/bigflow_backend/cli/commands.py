"""The table of all commands of ``bigflow`` and ``project_setup.py``, and the one way to run them.

``bigflow run`` and ``bigflow describe`` belong to the runtime, in ``bigflow.cli``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from bigflow_backend.cli.options import (
    AIRFLOW_URL,
    CHANGED_SINCE,
    DAG_OPTIONS,
    DEPLOYED,
    DRY_RUN,
    ENVIRONMENT_OPTIONS,
    IMAGE_OPTIONS,
    JSON,
    PYTHON,
    QUIET,
    START_TIME,
    VERBOSE,
    VERIFY,
    WHEEL,
    Option,
    Parser,
    flag,
    option,
    print_json_error,
)
from bigflow_backend.cli.retired import OF_DEPLOYMENTS, OF_IMAGES, RetiredOption, warn_of_retired
from bigflow_backend.cli.summaries import SUMMARIES
from bigflow_backend.ground.errors import UserError
from bigflow_backend.ground.progress import Verbosity, prints
from bigflow_backend.ground.report import print_debug_messages

if TYPE_CHECKING:
    from bigflow_backend.project.project import Project

_DEPLOY_OPTIONS = (
    option(
        "--dags-folder",
        "--dags-bucket",
        "-b",
        metavar="PLACE",
        help="the DAGs folder: a directory, gs://, s3://, az:// or oci:// (default: dags_bucket of"
        " deployment_config.py)",
    ),
    option(
        "--to",
        choices=("oci",),
        help="write the DAG files beside the image in its registry, for Airflow's DAG bundle",
    ),
    option(
        "--keep-days",
        metavar="N",
        type=int,
        help="keep retired DAGs for this time (default: keep-retired-days)",
    ),
    AIRFLOW_URL,
    option(
        "--wait",
        metavar="SECONDS",
        type=float,
        default=0.0,
        help="wait for another deployment of this project (default: 0)",
    ),
    flag("--dry-run", "print the plan, and deploy nothing"),
    JSON,
)
_BUILT_OPTIONS = (
    option("--docker-repository", "-r", metavar="REPOSITORY", help=argparse.SUPPRESS),
    option("--image-tar-path", "-i", metavar="FILE", help="the archive of the image"),
    option("--dags-dir", "-dd", metavar="DIRECTORY", help="the built DAGs (default: .dags)"),
    Option(("--clear-dags-folder", "-cdf"), {"action": "store_true", "help": argparse.SUPPRESS}),
)
_NEWEST_AIRFLOW = "3.3"
_SHELLS = ("bash", "zsh", "fish")


@dataclass(frozen=True)
class Command:
    """A command."""

    help: str
    """Its line in :data:`~bigflow_backend.cli.summaries.SUMMARIES`."""
    function: str
    """``module:function`` of this package, imported when the command runs. The function takes a
    :class:`Call` and returns the exit status."""
    options: tuple[Option, ...] = ()
    retired: tuple[RetiredOption, ...] = ()
    """The options of BigFlow 1.x that have no effect."""
    description: str = ""
    """The text of ``--help``; empty if it is ``help``."""


@dataclass(frozen=True)
class Call:
    """A command with its command line."""

    command: Command
    values: argparse.Namespace
    """The values of the options."""
    project: Callable[[], Project]
    """Returns the project that the command is for."""

    def run(self) -> int:
        """Run the command, and return its exit status.

        With ``--json`` an error of the user is on stdout as JSON, and on stderr as always.
        """
        module, _, function = self.command.function.partition(":")
        run = getattr(import_module(f"bigflow_backend.cli.{module}"), function)
        verbosity = Verbosity.QUIET if self.values.quiet else Verbosity.NORMAL
        if self.values.verbose:
            verbosity = Verbosity.VERBOSE
        try:
            with prints(verbosity):
                status: int = run(self)
        except UserError as error:
            if getattr(self.values, "json", False):
                print_json_error(error)
            raise
        return status


_PROJECT_VERSION = Command(
    SUMMARIES["project-version"],
    "versions:project_version",
    (
        option("--git-commit", metavar="REV", help="the version of this commit"),
        flag("--json", "print the version and its source as JSON"),
    ),
)
_AIRFLOW = option(
    "--airflow",
    metavar="RELEASE",
    default=_NEWEST_AIRFLOW,
    help=f"the Airflow, such as 2.11 or 3.0.6 (default: {_NEWEST_AIRFLOW})",
)
_PROJECT_CHOICES = (
    option("--package", metavar="NAME", help="the import package (default: from the name)"),
    option("--docker-repository", metavar="REPOSITORY", help="where the image will be pushed"),
    option(
        "--find-links",
        metavar="DIRECTORY",
        help="write it into [tool.uv]: the directory has the wheel of bigflow-backend, which no"
        " index needs then",
    ),
    option("--ci", choices=("github", "gitlab", "cloudbuild"), help="also write a pipeline file"),
)
COMMANDS = {
    "start-project": Command(
        SUMMARIES["start-project"],
        "start:start_project",
        (
            option("name", metavar="NAME", help="the name, or the path of the new directory"),
            option(
                "--layout",
                choices=("flat", "src"),
                default="flat",
                help="the place of the package: beside pyproject.toml, or in src/ (default: flat)",
            ),
            *_PROJECT_CHOICES,
            flag("--no-git", "do not make it a git repository"),
            JSON,
        ),
    ),
    "init": Command(
        SUMMARIES["init"],
        "start:init",
        (*_PROJECT_CHOICES, JSON),
        description="Write what the code in this directory lacks for a build. Existing files stay"
        " as they are, except pyproject.toml, which gets the missing tables.",
    ),
    "build": Command(
        SUMMARIES["build"],
        "build:build_project",
        (*ENVIRONMENT_OPTIONS, *IMAGE_OPTIONS, *DAG_OPTIONS, CHANGED_SINCE, JSON),
        OF_IMAGES,
    ),
    "build-package": Command(
        SUMMARIES["build-package"],
        "build:build_package",
        (PYTHON, JSON),
    ),
    "lock": Command(
        SUMMARIES["lock"],
        "requirements:lock",
        (
            flag("--upgrade", "take the newest versions: of all, or of the NAMES"),
            option("names", nargs="*", metavar="NAME", help="a distribution to upgrade"),
            PYTHON,
            JSON,
        ),
        description="Pin the versions of the dependencies with their hashes, and the digest of the"
        " base image. The lock of dependencies in pyproject.toml is uv.lock. A list in"
        " resources/requirements.txt moves to requirements.in; the lock replaces it.",
    ),
    "outdated": Command(
        SUMMARIES["outdated"],
        "outdated:outdated",
        (PYTHON, JSON),
        description="Compare the digest of the base image in the last build, or of the settings,"
        " with the one that its tag has now, and the pins of the lock with the releases on the"
        " indexes. Nothing is changed. The exit status is 0 if nothing is newer, 3 if something is,"
        " and 1 if something could not be asked.",
    ),
    "build-requirements": Command(
        SUMMARIES["build-requirements"],
        "requirements:build_requirements",
        (
            option(
                "source",
                nargs="?",
                metavar="FILE",
                help="the file to compile (default: resources/requirements.in)",
            ),
            flag("--upgrade", "take the newest versions, not those of the existing file"),
            PYTHON,
            JSON,
        ),
    ),
    "build-image": Command(
        SUMMARIES["build-image"],
        "build:build_image",
        (WHEEL, VERIFY, *ENVIRONMENT_OPTIONS, *IMAGE_OPTIONS, DRY_RUN, JSON),
        OF_IMAGES,
    ),
    "build-dags": Command(
        SUMMARIES["build-dags"],
        "build:build_dags",
        (
            *ENVIRONMENT_OPTIONS,
            *DAG_OPTIONS,
            flag("--dry-run", "check the workflows and their DAG files, and write nothing"),
            JSON,
        ),
    ),
    "workflows": Command(
        SUMMARIES["workflows"],
        "workflows:workflows",
        (
            option("--next", metavar="N", default="3", help="the number of runs (default: 3)"),
            START_TIME,
            *ENVIRONMENT_OPTIONS,
            JSON,
        ),
        description="List the workflows: when each runs, and the first runs of a deployment."
        " A run processes the data interval that ends when it starts. Its jobs get the beginning"
        " as `--runtime`.",
    ),
    "graph": Command(
        SUMMARIES["graph"],
        "workflows:graph",
        (
            option("workflow", metavar="WORKFLOW", help="the id of the workflow"),
            flag("--mermaid", "print a Mermaid flowchart, for Markdown"),
            flag("--svg", "print a picture, for a browser"),
            *ENVIRONMENT_OPTIONS,
            JSON,
        ),
        description="List the jobs of a workflow and what each one waits for. A picture is light or"
        " dark, as the reader's system. A browser shows attributes of the job below the pointer.",
    ),
    "dags": Command(
        SUMMARIES["dags"],
        "dags:dags",
        (DEPLOYED, flag("--retired", "only the retired DAGs"), AIRFLOW_URL, JSON),
        description="List the DAGs of .dags/, or those that --deployed names. With --airflow-url it"
        " asks Airflow which of them still have runs.",
    ),
    "check": Command(
        SUMMARIES["check"],
        "check:check",
        (_AIRFLOW, JSON),
        description="Load the DAG files of .dags/ in a real Airflow, and report errors, warnings"
        " and tasks. uv installs that Airflow into its cache.",
    ),
    "pod": Command(
        SUMMARIES["pod"],
        "check:pod",
        (
            option("job", metavar="WORKFLOW.JOB", help="the job, in a DAG file of .dags/"),
            _AIRFLOW,
            option("--config", "-c", metavar="NAME", help="the value of the Airflow Variable"),
        ),
        description="Print the manifest of a job's pod in JSON, as the operator of a real Airflow"
        " would create it for a run by hand. kubectl reads it.",
    ),
    "diff": Command(
        SUMMARIES["diff"],
        "diff:diff",
        (
            option("old", metavar="OLD", help="a version, a path, or an image of a registry"),
            option("new", metavar="NEW", help="the same"),
            option("--platform", metavar="PLATFORM", help="of the images, such as linux/arm64"),
            flag("--exit-code", "exit with the status 3 if something differs"),
            *ENVIRONMENT_OPTIONS,
            JSON,
        ),
        description="Compare two images or versions: layers, dependencies, DAGs and commits. A"
        " version is looked up in .image/ and .dags/, then in docker_repository. A path is a tar of"
        " `docker save`, an OCI layout, an imageinfo, a manifest.json, or a directory with one of"
        " them. The exit status is 0, also if they differ, and 1 for an error",
    ),
    "image": Command(
        SUMMARIES["image"],
        "image:image",
        (
            option(
                "image",
                nargs="?",
                metavar="IMAGE",
                help="a version, a path, or an image of a registry (default: that of .image/)",
            ),
            option("--platform", metavar="PLATFORM", help="of the image, such as linux/arm64"),
            flag("--svg", "print a picture, for a browser"),
            *ENVIRONMENT_OPTIONS,
            JSON,
        ),
        description="Print what an image is made of: its name, digest, platform and base, and its"
        " layers as a bar and as a table. IMAGE is looked up as by `bigflow diff`. Nothing is"
        " built.",
    ),
    "deploy": Command(
        SUMMARIES["deploy"],
        "deploy:deploy",
        (*_BUILT_OPTIONS, *_DEPLOY_OPTIONS, *ENVIRONMENT_OPTIONS),
        OF_DEPLOYMENTS,
        description="Push the image that `bigflow build` has made, then write its DAG files into"
        " the DAGs folder of Airflow. The DAGs of an earlier version retire: they end their runs."
        " Nothing is built.",
    ),
    "deploy-image": Command(
        SUMMARIES["deploy-image"],
        "deploy:deploy_image",
        (*_BUILT_OPTIONS, *_DEPLOY_OPTIONS, *ENVIRONMENT_OPTIONS),
        OF_DEPLOYMENTS,
    ),
    "deploy-dags": Command(
        SUMMARIES["deploy-dags"],
        "deploy:deploy_dags_only",
        (*_BUILT_OPTIONS, *_DEPLOY_OPTIONS, *ENVIRONMENT_OPTIONS),
        OF_DEPLOYMENTS,
    ),
    "deployments": Command(
        SUMMARIES["deployments"],
        "deploy:deployments",
        (*_DEPLOY_OPTIONS[:2], *ENVIRONMENT_OPTIONS, JSON),
        description="List the deployments in the DAGs folder, the newest first. `*` marks the"
        " current one.",
    ),
    "rollback": Command(
        SUMMARIES["rollback"],
        "deploy:rollback",
        (
            option(
                "version",
                nargs="?",
                metavar="VERSION",
                help="the version to deploy again (default: the deployment before)",
            ),
            *_DEPLOY_OPTIONS,
            *ENVIRONMENT_OPTIONS,
        ),
        description="Deploy an earlier version again: the same files with the same image, by its"
        " digest. Nothing is built. The DAGs of the newer version retire: they end their runs.",
    ),
    "promote": Command(
        SUMMARIES["promote"],
        "deploy:promote",
        (
            option("source", metavar="FROM", help="the configuration whose deployment is taken"),
            option("target", metavar="TO", help="the configuration that it is deployed to"),
            *_DEPLOY_OPTIONS,
            PYTHON,
        ),
        description="Deploy what is current in one configuration to another one: the same DAG"
        " files, with the same image under the other docker_repository. Nothing is built.",
    ),
    "rerun": Command(
        SUMMARIES["rerun"],
        "rerun:rerun",
        (
            option("line", metavar="LINE", help="the first line of the pod's log, in quotes"),
            option(
                "--env",
                metavar="NAME[=VALUE]",
                action="append",
                help="a variable of the container, by default that of this shell; may be repeated",
            ),
            flag("--dry-run", "print the command of docker or podman, and do not run it"),
        ),
        description="Run the job of a pod again: with the same image, runtime and configuration,"
        " in a container on this machine. LINE is the line that the pod prints first.",
    ),
    "config": Command(
        SUMMARIES["config"],
        "config:config",
        (
            option("keys", nargs="*", metavar="KEY", help="only this setting: image.network"),
            JSON,
        ),
        description="Show the value of each setting, and where it comes from: an environment"
        " variable, pyproject.toml, the user's file, or the default.",
    ),
    "rehearse": Command(
        SUMMARIES["rehearse"],
        "rehearse:run",
        (
            option(
                "workflow", nargs="?", metavar="WORKFLOW", help="the id of the workflow, or ALL"
            ),
            option("--workflow", "-w", dest="named", metavar="WORKFLOW", help="the same"),
            _AIRFLOW,
            option(
                "--runtime",
                choices=("auto", "docker", "podman", "sandbox"),
                default="auto",
                help="what runs the pods; sandbox is bubblewrap on the image's files"
                " (default: auto, the first that works)",
            ),
            option("--until", metavar="JOB", help="run this job and those that it waits for"),
            flag("--no-retries", "run each job once"),
            option(
                "--secrets",
                metavar="FILE",
                help="the secrets and Airflow Variables (default: rehearsal.toml)",
            ),
            *ENVIRONMENT_OPTIONS,
            JSON,
        ),
        description="Run the DAG file of .dags/ in a real Airflow, each job in a pod of the built"
        " image, before anyone deploys them. Secrets and Airflow Variables come from"
        " rehearsal.toml. Logs are in .rehearsal/. A failed job gives the exit status 1.",
    ),
    "cache": Command(
        SUMMARIES["cache"],
        "cache:cache",
        (flag("--clear", "remove everything that no running build needs"), JSON),
    ),
    "completion": Command(
        SUMMARIES["completion"],
        "completion:completion",
        (option("shell", choices=_SHELLS, help="the shell"),),
        description="Print a script for a shell. bash: write into ~/.bashrc"
        ' eval "$(bigflow completion bash)". zsh: bigflow completion zsh > DIRECTORY/_bigflow, with'
        " a directory of $fpath. fish: bigflow completion fish >"
        " ~/.config/fish/completions/bigflow.fish",
    ),
    "project-version": _PROJECT_VERSION,
    "pv": Command(SUMMARIES["pv"], _PROJECT_VERSION.function, _PROJECT_VERSION.options),
    "release": Command(
        SUMMARIES["release"],
        "versions:release",
        (
            option(
                "wanted",
                nargs="?",
                default="minor",
                metavar="major|minor|patch|VERSION",
                help="the number to raise, or the version itself (default: minor)",
            ),
            option(
                "--ssh-identity-file",
                "--ssh_identity_file",
                "-i",
                metavar="FILE",
                help="the private key to push with",
            ),
            flag("--dry-run", "only print what would be done"),
            flag("--no-push", "do not push the tag"),
            JSON,
        ),
    ),
}
"""All commands of ``bigflow`` that need this package, by their names."""

SETUP_NAMES = {
    "build_project": "build",
    "build_package": "build-package",
    "build_image": "build-image",
    "build_dags": "build-dags",
}
"""The name of a build command in ``project_setup.py`` -> its name in ``bigflow``."""


def read_call(
    command: Command, arguments: Sequence[str], *, prog: str, project: Callable[[], Project]
) -> Call:
    """Return the call for the arguments behind ``prog``, which is what the user typed before them.

    Wrong usage ends the process with status 2.
    """
    parser = Parser(
        prog,
        command.description or command.help,
        (*command.options, VERBOSE, QUIET),
        lambda: _manual(command),
    )
    for retired in command.retired:
        retired.add_to(parser)
    values = parser.parse(arguments)
    warn_of_retired(command.retired, values)
    if values.verbose:
        print_debug_messages()
    return Call(command, values, project)


def _manual(command: Command) -> str:
    from bigflow_backend.cli.manual import manual

    return manual(next((name for name in SUMMARIES if command.help == SUMMARIES[name]), ""))
