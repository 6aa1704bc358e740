from bigflow_backend import setup
from setuptools import Extension

PROJECT_NAME = "pipelines"

if __name__ == "__main__":
    setup(
        name=PROJECT_NAME,
        ext_modules=[Extension("pipelines._fast", ["pipelines/_fast.c"])],
        scripts=["bin/ride"],
    )
