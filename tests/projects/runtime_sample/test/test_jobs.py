import unittest

from runtime_sample.workflow import daily


class DailyTest(unittest.TestCase):
    def test_the_report_comes_last(self):
        self.assertEqual([job.id for job in daily.build_sequential_order()][-1], "report")
