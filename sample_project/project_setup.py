"""The commands of the project: python project_setup.py --help-commands"""

from bigflow_backend import setup

PROJECT_NAME = "project_package"

if __name__ == "__main__":
    setup(
        name=PROJECT_NAME,
        description="The usual weather in Seattle, for each day and each hour",
        python_requires=">=3.10",
    )
