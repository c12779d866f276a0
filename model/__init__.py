"""The model: PyTorch only. Architecture, tokenizer, trainer, losses, generation; knows no Prefect and no MLflow."""
