"""Pairs of a better and a worse answer to the same prompt, from files or made from the corpus."""

from tasks.training.preferences.config import PreferencesConfig
from tasks.training.preferences.stage import preferences

__all__ = ["PreferencesConfig", "preferences"]
