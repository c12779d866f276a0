"""Contamination: where n-grams of benchmark items occur in training documents, and which items are contaminated."""
