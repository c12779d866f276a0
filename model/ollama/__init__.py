"""Ollama: a GGUF file with a Modelfile, which says how to ask the model and where its answers end."""
