"""ONNX, the file in which networks are handed to runtimes of other languages and devices."""
