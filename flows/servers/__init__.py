"""The servers of a home: Prefect and MLflow are found or started, watched, and ended."""
