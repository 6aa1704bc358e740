"""Run as a script in the project's interpreter: unittest, with a report of what it counted.

    python unittest_child.py TEST_DIRECTORY REPORT

It imports nothing of this distribution, which that interpreter may not have.
"""

import json
import os
import sys
import unittest


def main(directory: str, report: str) -> int:
    sys.path[0] = os.getcwd()  # noqa: PTH109  (as `python -m unittest` has it)
    suite = unittest.defaultTestLoader.discover(directory, top_level_dir=".")
    result = unittest.TextTestRunner(stream=sys.stderr, verbosity=1).run(suite)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    counts = {"tests": result.testsRun, "failed": failed, "skipped": len(result.skipped)}
    with open(report, "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(counts, file)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
