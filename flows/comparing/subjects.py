"""What is compared: a pipeline run, a variant of one, or a model, with its artifacts and evaluations in the lake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from data_lake.reading.audit import lineage
from data_lake.store.home import Home
from data_lake.store.lake import Artifact, Lake
from flows.comparing import runs as pipeline
from flows.comparing.runs import CompareError, PipelineRecord, find_run, find_runs
from flows.recipe.errors import nearest
from tasks.stage import kinds

BESIDE = (kinds.Judgement.__name__, kinds.Memorisation.__name__)
"""Kinds of what measures a model beside its evaluation; each of them stands for it where there is no evaluation."""
MEASURING = (kinds.Evaluation.__name__, *BESIDE)
MODEL = "model"
"""The label of the only model of a subject, where models are compared and not runs."""


@dataclass(frozen=True)
class Subject:
    """One side of a comparison.

    artifacts: by node, in the order of the pipeline; gone: names of those that the lake does not have. evaluations: by
    the node of the model that they measured, such as `sft`.
    """

    name: str
    record: PipelineRecord | None
    artifacts: Mapping[str, Artifact]
    gone: Sequence[str] = ()
    evaluations: Mapping[str, Artifact] = field(default_factory=dict)
    choices: Sequence[Artifact] = ()  # all evaluations of its model, newest first, where the subject is a model


def subjects_of(wanted: Sequence[str], home: Home) -> list[Subject]:
    """Return what the names refer to. A single run with variants stands for all of them. Raises CompareError."""
    lake = Lake(home.lake)
    artifacts = lake.artifacts()
    known: list[list[PipelineRecord]] = []

    def runs() -> list[PipelineRecord]:
        if not known:
            known.append(pipeline.pipeline_runs(home))
        return known[0]

    found: list[Subject] = []
    for name in wanted:
        if "/" in name:
            found.append(_model(name, lake, artifacts))
            continue
        try:
            records = find_runs(name, runs()) if len(wanted) == 1 else [find_run(name, runs())]
        except CompareError:
            if "@" in name or "~" in name or not lake.find(name):
                raise
            found.append(_model(name, lake, artifacts))
        else:
            found += [_run(record, artifacts) for record in reversed(records)]
    if len(found) < 2:
        raise CompareError(f"{wanted[0]!r} is one run without variants; name what to compare it with, such as last~1.")
    twice = [name for name, times in Counter(subject.name for subject in found).items() if times > 1]
    if twice:
        raise CompareError(f"{twice[0]} is named twice; name something else to compare it with.")
    return _aligned(found)


def _run(record: PipelineRecord, artifacts: Sequence[Artifact]) -> Subject:
    by_name = {artifact.name: artifact for artifact in artifacts}
    made = {node: by_name[name] for node, name in record.artifacts.items() if name in by_name}
    evaluations: dict[str, Artifact] = {}
    for measuring in MEASURING:
        for node, one in made.items():
            if one.manifest.kind == measuring:
                evaluations.setdefault(node.partition("-")[2] or node, one)
    gone = [name for name in record.artifacts.values() if name not in by_name]
    return Subject(f"{record.name} {record.run_id[:8]}", record, made, gone, evaluations)


def _model(name: str, lake: Lake, artifacts: Sequence[Artifact]) -> Subject:
    """Return the subject of a model that is named by itself, or by its evaluation."""
    found = lake.find(name)
    models = [one for one in artifacts if one.manifest.kind == kinds.Model.__name__]
    if not found:
        near = nearest(name, [one.name for one in models])
        there = ", ".join(one.name for one in models[:5]) or "no model at all"
        hint = f" Did you mean {near}?" if near else ""
        raise CompareError(f"The lake has no model {name!r}; the newest are {there}.{hint}")
    if len(found) > 1 and "/" in name.strip("/"):
        raise CompareError(f"{name!r} could be {' or '.join(one.name for one in found[:5])}: give more of the key.")
    (artifact, *_) = found
    if artifact.manifest.kind in MEASURING:
        return _of_model(artifact.manifest.inputs["model"].name, artifact, lake, artifacts)
    if artifact.manifest.kind != kinds.Model.__name__:
        raise CompareError(
            f"{artifact.name} is no model but {artifact.manifest.kind or 'something else'}: only models, their "
            "evaluations and pipeline runs can be compared."
        )
    return _of_model(artifact.name, None, lake, artifacts)


def _of_model(name: str, evaluation: Artifact | None, lake: Lake, artifacts: Sequence[Artifact]) -> Subject:
    model = next((one for one in artifacts if one.name == name), None)
    choices = [evaluation] if evaluation is not None else _measuring(artifacts, model)
    made, gone = lineage(lake, [one for one in (model, evaluation) if one is not None])
    return Subject(name, None, {one.stage: one for one in made}, gone, choices=choices)


def _measuring(artifacts: Sequence[Artifact], model: Artifact | None) -> list[Artifact]:
    """Return the evaluations of this model, or of one with the same weights; or else what measured it otherwise."""
    for kind in MEASURING:
        found = [
            one
            for one in artifacts
            if one.manifest.kind == kind
            and model is not None
            and (entry := one.manifest.inputs.get("model")) is not None
            and (entry.stage, entry.content) == (model.stage, model.content)
        ]
        if found:
            return found
    return []


def of_one_model(one: Artifact, other: Artifact) -> bool:
    """Whether two artifacts measured the same model, or models of one stage with the same weights."""
    entries = [artifact.manifest.inputs.get("model") for artifact in (one, other)]
    return None not in entries and len({(entry.stage, entry.content) for entry in entries if entry}) == 1


def _aligned(subjects: list[Subject]) -> list[Subject]:
    """Choose the evaluations that can be compared: where models are named, one of each subject.

    A run then stands for its model of the same stage, or for its last one. Of several evaluations of a model, the one
    is taken that answers the questions which most of the others answer too.
    """
    named = [subject for subject in subjects if subject.record is None]
    if not named:
        return subjects
    stage = named[0].name.partition("/")[0]
    choices = [
        list(subject.choices)
        if subject.record is None
        else [one for label, one in subject.evaluations.items() if label == stage]
        or list(subject.evaluations.values())[-1:]
        for subject in subjects
    ]
    asked = Counter(content for options in choices for content in {_questions(one) for one in options})
    taken: list[Subject] = []
    for subject, options in zip(subjects, choices, strict=True):
        best = max(options, key=lambda one: asked[_questions(one)], default=None)  # the newest of equally good ones
        chosen = {} if best is None else {MODEL: best}
        artifacts = {one.stage: one for one in subject.artifacts.values() if one.manifest.kind != "Evaluation"}
        taken.append(replace(subject, evaluations=chosen, artifacts=artifacts | ({"evaluate": best} if best else {})))
    return taken


def _questions(evaluation: Artifact) -> str:
    entry = evaluation.manifest.inputs.get("questions")
    return entry.content if entry else ""
