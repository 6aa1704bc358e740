from bigflow_backend import setup

PROJECT_NAME = "scenarios"

if __name__ == "__main__":
    setup(name=PROJECT_NAME)
