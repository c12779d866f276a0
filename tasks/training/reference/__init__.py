"""How likely a model finds the answers of preference pairs, computed once for all that is trained against it."""

from tasks.training.reference.config import ReferenceConfig
from tasks.training.reference.stage import reference

__all__ = ["ReferenceConfig", "reference"]
