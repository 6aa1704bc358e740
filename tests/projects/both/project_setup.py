import texts  # a module beside the setup script
from bigflow_backend import setup

PROJECT_NAME = "pipelines"

if __name__ == "__main__":
    setup(name="both", description=texts.DESCRIPTION)
