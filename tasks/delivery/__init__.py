"""Delivery: using a trained model."""
