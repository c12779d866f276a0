"""Models come in from Hugging Face folders and leave as such: the formats of `transformers`, without `transformers`."""
