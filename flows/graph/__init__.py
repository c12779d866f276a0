"""The graph: which stages a recipe needs, with which configs and inputs, and what a run has to do for each."""
