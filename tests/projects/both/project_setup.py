import texts  # a neighbour, as setup scripts have them
from bigflow_backend import setup

PROJECT_NAME = "pipelines"

if __name__ == "__main__":
    setup(name="both", description=texts.DESCRIPTION)
