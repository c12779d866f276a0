"""Errors that tell the machinery around a stage what to do about them."""

from __future__ import annotations


class PermanentError(Exception):
    """Bad data or a bad config: trying again cannot help, so the stage fails at once."""
