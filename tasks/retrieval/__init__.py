"""Finding the passages of a corpus that belong to a question, and letting a model answer from them."""
