"""One line for each command. ``bigflow --help`` needs no other module."""

_RUN = {"run": "run a job or a workflow in this process, as each pod does"}
GROUPS = {
    "begin": {
        "start-project": "write a new project, which builds as it stands",
        "init": "write what the code in this directory lacks for a build",
        "config": "show the value of each setting, and where it comes from",
        "completion": "print the script with which a shell completes commands and options",
    },
    "build": {
        "build": "run the tests, then build the package, the image and the DAGs",
        "build-package": "run the tests, then build the wheel into dist/",
        "build-image": "build the wheel, and the image with it, into dist/ and .image/",
        "build-dags": "write an Airflow DAG for each workflow into .dags/",
        "lock": "pin the versions of the dependencies, and the digest of the base image",
        "outdated": "say that the base image has moved, and which pins have newer releases",
        "build-requirements": "compile resources/requirements.in to requirements.txt, with hashes",
        "cache": "show the cache of base images and layers, or empty it",
    },
    "look and try": {
        "workflows": "list the workflows: when each runs, and its next runs",
        "graph": "list the jobs of a workflow, or draw them",
        "image": "print the layers of an image, with their sizes and digests",
        "check": "load the DAG files of .dags/ in a real Airflow, and report",
        "pod": "print the manifest of a job's pod, as a real Airflow would create it",
        "rehearse": "run a workflow in a real Airflow, with its pods, on this machine",
    },
    "release and run": {
        "project-version": "print the version of wheel, image and DAGs",
        "pv": "the same as project-version",
        "release": "tag the current commit with the next version, and push the tag",
        "deploy": "push the built image, then write the DAG files into Airflow's DAGs folder",
        "deploy-image": "push the built image",
        "deploy-dags": "write the built DAG files into Airflow's DAGs folder",
        "deployments": "list what is and was deployed",
        "rollback": "deploy an earlier version again",
        "promote": "deploy the version of one configuration to another one",
        "dags": "list the DAGs of a build or a deployment, and the runs of retired ones",
        "diff": "compare two images or versions: layers, dependencies, DAGs, commits",
        "rerun": "run the job of a pod again, in its image, on this machine",
        **_RUN,
    },
}
"""The commands by the titles of the help."""
SUMMARIES = {
    name: text for group in GROUPS.values() for name, text in group.items() if name not in _RUN
}
"""All commands of ``bigflow`` that need this package, by their names, and what each does."""


def help_text() -> str:
    """Return the help of ``bigflow``."""
    lines = [
        "usage: bigflow [--version] [-v] [-q] COMMAND ...",
        "",
        "Data pipelines as a Python package, an image and Airflow DAGs.",
    ]
    for title, group in GROUPS.items():
        lines += ["", f"{title}:"]
        lines += [f"  {name:18}  {text}" for name, text in group.items()]
    lines += [
        "",
        "options:",
        "  --version           print the version",
        "  -v, --verbose       print everything; of `run`, the debug messages",
        "  -q, --quiet         print only the result",
        "",
        "bigflow COMMAND --help has examples, options and settings. A new project:",
        "  bigflow start-project weather-reports",
    ]
    return "\n".join(lines)
