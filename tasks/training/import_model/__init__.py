"""import_model: a model from elsewhere becomes a Model, to go on from."""

from tasks.training.import_model.config import ImportConfig
from tasks.training.import_model.stage import import_model

__all__ = ["ImportConfig", "import_model"]
