"""Vocabularies: what a tokenizer's tokens are and how text becomes tokens, one file for each kind and each format."""
