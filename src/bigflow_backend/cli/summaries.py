"""One line for each command. The list of ``bigflow --help`` needs no other module."""

SUMMARIES = {
    "start-project": "write a new project, which builds as it stands",
    "init": "write what the code in this directory lacks for a build",
    "build": "run the tests, then build the package, the image and the DAGs",
    "build-package": "run the tests, then build the wheel into dist/",
    "lock": "pin the versions of the dependencies, and the digest of the base image",
    "build-requirements": "compile resources/requirements.in to requirements.txt, with hashes",
    "build-image": "build the wheel, and the image with it, into dist/ and .image/",
    "build-dags": "write an Airflow DAG for each workflow into .dags/",
    "workflows": "list the workflows: when each runs, and its next runs",
    "graph": "list the jobs of a workflow, or draw them with Mermaid",
    "dags": "list the DAGs of a build or a deployment, and the runs of retired ones",
    "check": "load the DAG files of .dags/ in a real Airflow, and report",
    "pod": "print the manifest of a job's pod, as a real Airflow would create it",
    "rehearse": "run a workflow in a real Airflow, with pods in the built image, on this machine",
    "rerun": "run the job of a pod again, in its image, on this machine",
    "config": "show the value of each setting, and where it comes from",
    "cache": "show the cache of base images and layers, or empty it",
    "completion": "print the script with which a shell completes commands and options",
    "project-version": "print the version of wheel, image and DAGs",
    "pv": "the same as project-version",
    "release": "tag the current commit with the next version, and push the tag",
}
"""All commands of ``bigflow`` that need this package, by their names, and what each does."""
