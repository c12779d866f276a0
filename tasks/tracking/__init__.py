"""Tracking: what a run reports goes to a journal on disk, from there to MLflow, and to the terminal."""
