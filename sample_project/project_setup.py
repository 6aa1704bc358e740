"""Builds the project: see the README of bigflow-backend for the commands."""

from bigflow_backend import setup

PROJECT_NAME = "project_package"

if __name__ == "__main__":
    setup(
        name=PROJECT_NAME,
        description="What weather to expect in Seattle, for each day and each hour",
        python_requires=">=3.10",
    )
