"""The model: PyTorch only. Architecture, tokenizer wrapper, trainer, losses, generation; knows no Prefect, no MLflow."""
