"""Project -> wheel and sdist."""
