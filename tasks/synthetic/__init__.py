"""What is made of the corpus: instructions to learn from, and questions to ask."""
