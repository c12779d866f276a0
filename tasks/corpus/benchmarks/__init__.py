"""Benchmarks: their files, in their authors' formats and others, and the items in them."""
