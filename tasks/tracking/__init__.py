"""Tracking: a run's reports go to a journal on disk and from there to MLflow, and also to the terminal."""
