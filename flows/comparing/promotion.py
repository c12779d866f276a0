"""Promotion: whether a model may become the champion, by the paired tests that `textmill compare` makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from data_lake.store.home import Home
from data_lake.store.lake import Artifact, Lake
from flows.comparing.comparison import Comparison, compare_subjects
from flows.comparing.runs import CompareError
from flows.comparing.subjects import MODEL, Subject
from flows.recipe.errors import nearest
from flows.recipe.promote import PromoteConfig
from tasks.evaluation.comparing.items import sheet_of
from tasks.evaluation.comparing.rows import Row, judged, rows_of

Measure = Callable[[Artifact, Artifact], Artifact]
"""Returns the evaluation of its first argument, a model, on the questions of its second, an evaluation."""


@dataclass(frozen=True)
class Ruling:
    """Whether a model may become the champion, why, and the comparison that decided; None if there was none."""

    promoted: bool
    why: str
    comparison: Comparison | None = None


def ruling(
    model: Artifact,
    evaluation: Artifact,
    champion: str | None,
    config: PromoteConfig,
    home: Home,
    measure: Measure,
) -> Ruling:
    """Decide whether `model` may take the place of the champion (`stage/key`, None if there is none yet).

    The champion is compared on the questions that the model was asked; `measure` asks it if that was not done before.
    Raises CompareError if a metric of the config does not exist.
    """
    require_metrics(evaluation, config)
    if champion is None:
        return Ruling(True, f"{model.name} is the first champion: there was none to beat.")
    if champion == model.name:
        return Ruling(True, f"{model.name} is the champion already.")
    artifacts = Lake(home.lake).artifacts()
    held = next((one for one in artifacts if one.name == champion), None)
    if held is None:
        return Ruling(
            False,
            f"The champion {champion} is not in this lake, so that {model.name} cannot be compared with it; `textmill "
            "champion` names another one by hand.",
        )
    try:
        other = measured_alike(held, evaluation, artifacts) or measure(held, evaluation)
    except Exception as error:  # whatever a stage raises: an unmeasured champion must not lose its place
        return Ruling(False, f"The champion {champion} could not be asked the same questions: {error}")
    subjects = [_subject(held, other), _subject(model, evaluation)]
    try:
        made = compare_subjects(subjects, home, metrics=config.metrics, alpha=config.alpha)
    except CompareError as error:  # the champion lacks a metric that the model has
        return Ruling(False, f"{model.name} cannot be compared with the champion {champion}: {error}")
    return _judge(model.name, champion, made, config)


def measured_alike(model: Artifact, like: Artifact, artifacts: Sequence[Artifact]) -> Artifact | None:
    """Return an evaluation of `model` that differs from `like` in nothing but the model."""

    def kept(one: Artifact) -> object:
        payload = {name: value for name, value in one.manifest.payload.items() if name != "inputs"}
        return payload, {role: entry.content for role, entry in one.manifest.inputs.items() if role != "model"}

    for one in artifacts:
        entry = one.manifest.inputs.get("model")
        same = entry is not None and (entry.stage, entry.content) == (model.stage, model.content)
        if one.stage == like.stage and same and kept(one) == kept(like):
            return one
    return None


def require_metrics(evaluation: Artifact, config: PromoteConfig) -> None:
    """Raise CompareError if the evaluation lacks a metric, so that the first model finds out and not the second."""
    sheet = sheet_of(evaluation)
    known = dict.fromkeys(name for row in rows_of([sheet], [sheet]) for name in (row.metric, row.name))
    for metric in config.metrics:
        if metric not in known:
            near = nearest(metric, known)
            hint = f" Did you mean {near}?" if near else ""
            raise CompareError(f"promote.metrics names {metric!r}, but {evaluation.name} has {', '.join(known)}.{hint}")


def _judge(name: str, champion: str, made: Comparison, config: PromoteConfig) -> Ruling:
    rows = made.rows
    # Each metric may veto by itself, uncorrected: with a correction, naming more metrics would make the gate wider.
    worse = [row for row in rows if judged([row], config.alpha)[0].verdict in ("worse", "different")]
    better = [row for row in rows if row.verdict == "better"]
    lacking = [metric for metric in config.metrics if not any(metric in (row.metric, row.name) for row in rows)]
    if lacking:
        return Ruling(
            False, f"{name} and the champion {champion} share no items of {', '.join(lacking)}, so that nothing tells "
            "which is better.", made
        )  # fmt: skip
    if worse:
        return Ruling(False, f"{name} is worse than the champion {champion}: {_listed(worse)}.", made)
    if config.must_be == "better" and not better:
        return Ruling(False, f"{name} is not better than the champion {champion}: {_listed(rows)}.", made)
    found = f"{name} is not worse than the champion {champion}" if not better else f"{name} beats {champion}"
    return Ruling(True, f"{found}: {_listed(better or rows)}.", made)


def _listed(rows: Sequence[Row]) -> str:
    return ", ".join(f"{row.name} {row.before:.4g} → {row.after:.4g} (p {row.p:.2g})" for row in rows)


def _subject(model: Artifact, evaluation: Artifact) -> Subject:
    return Subject(model.name, None, {model.stage: model, evaluation.stage: evaluation}, (), {MODEL: evaluation})
