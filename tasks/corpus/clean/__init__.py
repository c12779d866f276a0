"""clean: from stored pages to documents of clean text, and a reason for each page that does not become one."""

from tasks.corpus.clean.config import CleanConfig
from tasks.corpus.clean.stage import clean

__all__ = ["CleanConfig", "clean"]
