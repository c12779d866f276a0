"""Smaller models that say the same: fewer bits per weight, or fewer weights."""
