"""The usual weather in Seattle, from the records of NOAA."""
