"""The flows: what runs, in which order, on which trigger."""
