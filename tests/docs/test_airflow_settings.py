"""The settings of Airflow that the pages name exist, and load the DAG bundle."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from support.pages import REPOSITORY, pages

if TYPE_CHECKING:
    from support.airflow import Airflow

_VARIABLE = re.compile(r"AIRFLOW__([A-Z_]+?)__([A-Z_]+)")
_SECTION = r"`?\[(core|dag_processor|scheduler)\]"
_OPTION = re.compile(rf"{_SECTION} (\w+)`|`(\w+)(?: = [^`]+)?` of {_SECTION}`")
_BUNDLES = re.compile(
    r"DAG_BUNDLE_CONFIG_LIST(?:='|\n +value: \|\n)( *\[\s*\{.*?\}\s*\])", re.DOTALL
)
_LOAD = """\
import json, sys
from airflow.configuration import conf
from airflow.dag_processing.bundles.manager import DagBundlesManager
options, bundles = json.loads(sys.argv[1])
for section, key in options:
    assert conf.configuration_description[section]["options"][key], (section, key)
for bundle in bundles:
    conf.set("dag_processor", "dag_bundle_config_list", bundle)
    names = [each["name"] for each in json.loads(bundle)]
    found = {each.name for each in DagBundlesManager().get_all_dag_bundles()}
    assert found == set(names), (found, names)
print("loaded", len(options), len(bundles))
"""


@pytest.mark.slow
def test_airflow_has_the_settings(airflow_3: Airflow) -> None:
    text = "\n".join(path.read_text("utf-8") for path in pages())
    options = {(section.lower(), key.lower()) for section, key in _VARIABLE.findall(text)}
    for section, key, other_key, other_section in _OPTION.findall(text):
        options.add((section or other_section, key or other_key))
    bundles = _BUNDLES.findall(text)
    assert ("dag_processor", "dag_bundle_config_list") in options
    assert ("core", "min_serialized_dag_update_interval") in options
    assert len(bundles) == text.count("DAG_BUNDLE_CONFIG_LIST")
    airflow = airflow_3.with_variables(PYTHONPATH=str(REPOSITORY / "src"))
    given = json.dumps([sorted(options), bundles])
    done = airflow.run_python(["-c", _LOAD, given])
    assert f"loaded {len(options)} {len(bundles)}" in done.stdout
