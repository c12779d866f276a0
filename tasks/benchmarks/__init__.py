"""Benchmarks as their authors publish them: reading their files, and turning each item into what a model is asked."""

from tasks.benchmarks.config import BenchmarksConfig
from tasks.benchmarks.stage import benchmarks

__all__ = ["BenchmarksConfig", "benchmarks"]
