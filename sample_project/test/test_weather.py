from datetime import date, datetime
from unittest import TestCase

from project_package import weather


class WeatherTest(TestCase):
    def test_counts_the_days_on_both_sides_of_a_date(self) -> None:
        # Seven days in each of four years.
        self.assertEqual(weather.records(date(2026, 7, 1), window_days=3), 28)

    def test_the_window_includes_days_of_the_other_year(self) -> None:
        self.assertEqual(weather.records(date(2026, 1, 1), window_days=1), 12)

    def test_summer_is_warmer_and_drier_than_winter(self) -> None:
        summer, winter = date(2026, 7, 15), date(2026, 1, 15)
        self.assertGreater(
            weather.temperature(summer, 7)["high"], weather.temperature(winter, 7)["high"] + 10
        )
        self.assertLess(
            weather.precipitation(summer, 7)["chance"], weather.precipitation(winter, 7)["chance"]
        )

    def test_normals_of_one_day(self) -> None:
        # The file has four days of 4 July. Their averages are 13.05 and 24.875.
        self.assertEqual(weather.temperature(date(2026, 7, 4), 0), {"low": 13.1, "high": 24.9})

    def test_an_hour_in_degrees_celsius(self) -> None:
        # 39.4 degrees Fahrenheit at midnight of 1 January 2010
        self.assertEqual(weather.hourly_temperature(datetime(2026, 1, 1, 0)), 4.1)

    def test_a_leap_day_has_the_normals_of_the_day_before(self) -> None:
        self.assertEqual(
            weather.hourly_temperature(datetime(2028, 2, 29, 12)),
            weather.hourly_temperature(datetime(2028, 2, 28, 12)),
        )
