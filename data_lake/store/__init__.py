"""The store: artifacts that are whole or absent, their keys, manifests and locks, and the folders of a home."""
