"""export: a model leaves in the formats of other programs, each proved to compute the same."""

from tasks.delivery.export.config import ExportConfig
from tasks.delivery.export.stage import export

__all__ = ["ExportConfig", "export"]
