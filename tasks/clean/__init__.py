"""clean: from stored pages to documents of clean text, and a reason for each page that does not become one."""

from tasks.clean.config import CleanConfig
from tasks.clean.stage import clean

__all__ = ["CleanConfig", "clean"]
