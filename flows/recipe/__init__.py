"""The recipe: the configs of a whole run, read from YAML, with every mistake reported at once."""
