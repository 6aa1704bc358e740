"""Workflows + Image -> DAG files."""
