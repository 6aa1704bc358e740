"""Model -> DAG file."""
