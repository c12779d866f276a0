"""Data made from the corpus: instructions for training and questions for evaluation."""
