"""What weather to expect in Seattle, from NOAA's records."""
