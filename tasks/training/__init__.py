"""Training: the stages that train a model, and what all of them share."""
