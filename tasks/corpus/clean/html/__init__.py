"""Turn the source of a page into text: cut it into blocks, let a model choose the main ones, write them as lines."""
