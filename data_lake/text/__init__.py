"""Text: what a word is, and the compiled kernels that find words in a column of texts."""
