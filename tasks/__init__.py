"""The tasks: one folder per stage, its config and its function. `tasks/stage` gives every stage its contract."""
