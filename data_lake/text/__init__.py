"""Text processing: the definition of a word, and the compiled kernels that find words in a column of texts."""
