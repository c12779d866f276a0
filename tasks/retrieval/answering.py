"""Which model answers from the pages where nobody names one: the one that was measured to do it best."""

from __future__ import annotations

from data_lake.store.lake import Artifact, Lake
from tasks.stage import kinds


def answers_best(lake: Lake) -> str | None:
    """Return the stage whose model `ask` measured best on the index that was asked last; None if it measured none."""
    measured = lake.artifacts("ask")
    if not measured:
        return None
    index = measured[0].manifest.inputs["index"].name
    same = [one for one in measured if one.manifest.inputs["index"].name == index]
    return max(same, key=lambda one: one.metrics["exact"] or 0.0).manifest.inputs["model"].stage


def answering(lake: Lake) -> Artifact | None:
    """Return the newest model of that stage, else the newest one that was taught to answer; None if there is none."""
    from tasks.training.trained import chat_template_of

    models = [one for one in lake.artifacts() if one.manifest.kind == kinds.Model.__name__]
    best = answers_best(lake)
    models.sort(key=lambda one: one.stage != best)  # stays in order of time otherwise
    return next((one for one in models if chat_template_of(one) is not None), None)
