"""Project -> Wheel."""
