"""Delivery: a trained model in use."""
