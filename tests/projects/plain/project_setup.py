from bigflow_backend import setup

PROJECT_NAME = "pipelines"

if __name__ == "__main__":
    setup(name=PROJECT_NAME)
