"""Runs: the flows that Prefect starts, the stages that they build, and the reports about them."""
