"""The tasks: the stages, each a folder with its config and its function; the stage contract; tracking."""
