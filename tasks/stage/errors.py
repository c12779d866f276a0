"""Errors that tell the code around a stage how to handle them."""

from __future__ import annotations


class PermanentError(Exception):
    """Bad data or a bad config: a retry cannot help, so the stage fails at once."""
