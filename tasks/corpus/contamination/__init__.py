"""Contamination: where the n-grams of benchmark items stand in training documents, and what that makes of an item."""
