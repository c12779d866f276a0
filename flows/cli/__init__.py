"""The verbs of `textmill`, by subject: running, planning, looking into the lake, using and comparing models."""
