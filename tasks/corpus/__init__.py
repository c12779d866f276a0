"""The corpus: the stages from web pages to documents, and from documents to a tokenizer and tokens."""
