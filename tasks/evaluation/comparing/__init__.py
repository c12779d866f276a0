"""Comparing models on the same items: paired tests, their correction, and what it would take to tell."""
