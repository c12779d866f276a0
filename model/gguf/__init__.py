"""GGUF, the file in which llama.cpp and all that is built on it (Ollama, LM Studio, …) keep a model."""
