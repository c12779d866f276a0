"""lm-evaluation-harness on a model of the lake: an adapter, and tasks that read local files and nothing else."""
