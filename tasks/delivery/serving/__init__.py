"""Serving: models that stay in memory and write many texts side by side, whoever asks."""
