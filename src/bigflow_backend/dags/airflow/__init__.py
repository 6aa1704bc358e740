"""DAG files in a real Airflow."""
