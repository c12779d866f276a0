"""Comparing runs, variants and models: recipe, data, cost and scores, and whether a difference is more than noise."""
