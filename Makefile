# make demo      the sample project becomes a wheel, an image and DAGs
# make lint      checks sources, types, layers of imports, spelling, words and workflows
# make test      runs `make lint` and the quick tests: at most five minutes on two cores
# make test-all  runs `make test`, then the slow tests, and prints the line coverage of both
# make format    rewrites the sources, and the docs that come from them, as `make lint` wants them
# make docs      builds the site of docs/ into site/: open site/index.html
# make schema    writes the schema of [tool.bigflow] for editors into schema/
# make dist      builds the wheel and the sdist of a release into dist/, and checks them
# make notes TAG=v0.2.0
#                prints the notes of a release, and checks its tag
# make bench     measures packages, images, DAGs, pods and commands beside their peers (an hour), and
#                writes docs/benchmarks.md; PARTS="package dags" for some, PARTS=page for the page
#                alone, OLD=DIRECTORY compares with another checkout, too
#
# Each creates its own virtual environment with PYTHON, below .venv/. See tests/README.md.

PYTHON ?= python3
BENCH := .venv/bench
DEMO := .venv/demo
DOCS := .venv/docs
TEST := .venv/test
# The tests of a file run in one process, which creates their fixtures once. tests/conftest.py
# orders the files. Three processes on two cores, because many tests wait for servers.
WORKERS ?= 3
PYTEST = $(TEST)/bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
# Nothing is built in this tree: setuptools would leave a build/ whose leftovers it packs again.
# (An unpacked archive has no git to list them.)
SOURCES := $(shell git ls-files --cached --others --exclude-standard src pyproject.toml setup.cfg \
  2>/dev/null || find src pyproject.toml setup.cfg -type f -not -path '*/__pycache__/*')

export PIP_DISABLE_PIP_VERSION_CHECK = 1
# mkdocs-material advertises its successor.
export NO_MKDOCS_2_WARNING = 1
# Without bytecode, each of the thousands of processes of the tests would compile our modules.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-all lint format docs schema dist notes bench clean

demo: $(DEMO)/ready
	$(DEMO)/bin/python scripts/demo.py

test: lint
	$(PYTEST) -m "not slow" $(COVERAGE)

test-all: COVERAGE = --cov --cov-report=
test-all: test
	$(PYTEST) -m slow $(COVERAGE) --cov-append
	$(TEST)/bin/coverage report

lint: $(TEST)/ready
	$(TEST)/bin/ruff check .
	$(TEST)/bin/ruff format --check .
	$(TEST)/bin/mypy
	$(TEST)/bin/lint-imports --no-logo
	$(TEST)/bin/codespell src tests docs scripts benchmarks sample_project README.md CHANGELOG.md CONTRIBUTING.md \
	  CODE_OF_CONDUCT.md SECURITY.md .github action.yml
	$(TEST)/bin/python scripts/plain_words.py
	$(TEST)/bin/zizmor --offline --no-progress --quiet .
	$(TEST)/bin/python scripts/reference_pages.py --check

format: $(TEST)/ready
	$(TEST)/bin/ruff check --fix .
	$(TEST)/bin/ruff format .
	$(TEST)/bin/python scripts/reference_pages.py

docs: $(DOCS)/ready
	$(DOCS)/bin/mkdocs --quiet build

schema: $(TEST)/ready
	$(TEST)/bin/python scripts/schema.py

dist: $(TEST)/ready
	rm -rf dist
	$(TEST)/bin/python scripts/distribution.py --sdist dist
	$(TEST)/bin/twine check --strict dist/*

notes:
	@$(PYTHON) scripts/release_notes.py "$(TAG)"

bench: $(BENCH)/ready
	PYTHONPATH=tests $(BENCH)/bin/python benchmarks/bench.py $(PARTS) $(addprefix --old=,$(OLD)) \
	  $(addprefix --rounds=,$(ROUNDS))

$(BENCH)/ready: pyproject.toml setup.cfg
	$(PYTHON) -m venv --clear $(BENCH)
	$(BENCH)/bin/pip install --quiet --upgrade pip
	$(BENCH)/bin/pip install --quiet --editable ".[build]" --group bench
	touch $@

# The distribution is on no index yet: a wheel of it stands in $(DEMO)/wheels, for find-links.
$(DEMO)/ready: $(SOURCES) scripts/distribution.py
	$(PYTHON) -m venv --clear $(DEMO)
	$(DEMO)/bin/pip install --quiet --upgrade pip
	$(DEMO)/bin/python scripts/distribution.py $(DEMO)/wheels
	$(DEMO)/bin/pip install --quiet --find-links $(DEMO)/wheels "bigflow-backend[build]" \
	  --requirement sample_project/resources/requirements.txt
	touch $@

$(DOCS)/ready: pyproject.toml setup.cfg
	$(PYTHON) -m venv --clear $(DOCS)
	$(DOCS)/bin/pip install --quiet --upgrade pip
	$(DOCS)/bin/pip install --quiet --editable ".[build]" --group docs
	touch $@

$(TEST)/ready: pyproject.toml setup.cfg
	$(PYTHON) -m venv --clear $(TEST)
	$(TEST)/bin/pip install --quiet --upgrade pip
	$(TEST)/bin/pip install --quiet --editable ".[build]" --group test
	touch $@

clean:
	rm -rf .venv .cache .coverage* build dist site
