"""Training: the stages that train a model, and the code they share."""
