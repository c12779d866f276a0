"""Runs: the flows that Prefect starts, the stages that they build, and what is reported of them."""
