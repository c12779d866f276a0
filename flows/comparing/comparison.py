"""A comparison: subjects side by side, and for each model that they share the rows of its scores."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from data_lake.store.home import Home
from data_lake.store.lake import Artifact, Lake
from flows.comparing.changes import Cost, Entry, Field, artifact_changes, costs, data_changes, machines, recipe_changes
from flows.comparing.logged import MetricChange, logged_changes
from flows.comparing.runs import CompareError
from flows.comparing.seeds import SeedFamilies
from flows.comparing.subjects import BESIDE, Subject, of_one_model, subjects_of
from flows.recipe.errors import nearest
from tasks.evaluation.comparing.items import Sheet, sheet_of
from tasks.evaluation.comparing.rows import ALPHA, Row, chosen, judged, rows_of, without_pair


@dataclass(frozen=True)
class Scores:
    """The rows of one model of two subjects, and sentences about what could not be compared.

    seeds: how many evaluations stand behind each side.
    """

    label: str
    before: str
    after: str
    rows: Sequence[Row]
    seeds: tuple[int, int]
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Comparison:
    """Two or more subjects; the first is what the others are compared with."""

    subjects: Sequence[Subject]
    fields: Sequence[Field]
    artifacts: Sequence[Field]
    data: Sequence[Entry]
    costs: Sequence[Cost]
    scores: Sequence[Scores]
    metrics: Sequence[MetricChange]
    notes: Sequence[str]

    @property
    def rows(self) -> list[Row]:
        """The rows of all models and subjects: they were corrected together."""
        return [row for scores in self.scores for row in scores.rows]

    def to_json(self) -> dict[str, Any]:
        """Plain data for programs."""
        return {
            "subjects": [_subject_json(subject) for subject in self.subjects],
            "recipe": [asdict(field) for field in self.fields],
            "artifacts": [asdict(field) for field in self.artifacts],
            "data": [asdict(entry) for entry in self.data],
            "cost": [asdict(cost) for cost in self.costs],
            "scores": [
                {
                    "model": scores.label,
                    "before": scores.before,
                    "after": scores.after,
                    "seeds": list(scores.seeds),
                    "rows": [_row_json(row) for row in scores.rows],
                    "notes": list(scores.notes),
                }
                for scores in self.scores
            ],
            "metrics": [asdict(metric) for metric in self.metrics],
            "notes": list(self.notes),
        }


def compare(
    wanted: Sequence[str],
    home: Home,
    *,
    metrics: Collection[str] = (),
    alpha: float = ALPHA,
    groups: bool = False,
) -> Comparison:
    """Compare what the names refer to: runs, variants of runs, models.

    metrics: the only metrics to test, all if empty. groups: also test each source, language and subject by itself.
    Raises CompareError, a full sentence.
    """
    return compare_subjects(subjects_of(wanted, home), home, metrics=metrics, alpha=alpha, groups=groups)


def compare_subjects(
    subjects: Sequence[Subject],
    home: Home,
    *,
    metrics: Collection[str] = (),
    alpha: float = ALPHA,
    groups: bool = False,
) -> Comparison:
    """Compare subjects as `compare` does."""
    scores, notes = _scores(subjects, Lake(home.lake).artifacts(), metrics, alpha, groups)
    first, second = subjects[0].record, subjects[1].record
    both = len(subjects) == 2 and first is not None and second is not None
    return Comparison(
        subjects,
        recipe_changes(subjects),
        artifact_changes(subjects),
        data_changes(subjects),
        costs(subjects, home),
        scores,
        logged_changes(first.metrics, second.metrics) if both and first and second else [],
        [*notes, *_about(subjects), *machines(subjects)],
    )


def _scores(
    subjects: Sequence[Subject], artifacts: Sequence[Artifact], metrics: Collection[str], alpha: float, groups: bool
) -> tuple[list[Scores], list[str]]:
    """Return the scores of each model and pair of subjects, corrected together, and sentences about missing ones."""
    families = SeedFamilies(artifacts)
    measured = [*(one for subject in subjects for one in subject.artifacts.values()), *artifacts]
    sheets: dict[str, Sheet] = {}
    sides, notes = _sides(subjects, families)
    found: list[Scores] = []
    for base, other in ((sides[0], one) for one in sides[1:]):
        for label in base.evaluations:
            if label not in other.evaluations:
                continue
            pair = [[_sheet(one, measured, sheets) for one in side.evaluations[label]] for side in (base, other)]
            if families.alike(base.evaluations[label][0], other.evaluations[label][0]):
                pair = [side[:1] for side in pair]
            rows = rows_of(pair[0], pair[1], groups=groups)
            said = without_pair(pair[0][0], pair[1][0])
            if 1 in (few := sorted(map(len, pair))) and few[1] > 1:
                said.append(
                    f"The lake has {few[1]} seeds of one side and 1 of the other: these tests are over items and know "
                    "nothing of the seeds' spread. Train a second seed of the other side to have them over seeds."
                )
            if not rows:
                said.append(
                    f"{pair[0][0].name} and {pair[1][0].name} share no item and no held-out document, so that there is "
                    "nothing to test."
                )
            found.append(Scores(label, base.name, other.name, rows, (len(pair[0]), len(pair[1])), said))
    everything = [row for scores in found for row in scores.rows]
    verdicts = iter(judged(_wanted(everything, metrics), alpha))
    kept = [
        Scores(
            one.label, one.before, one.after, [next(verdicts) for _ in chosen(one.rows, metrics)], one.seeds, one.notes
        )
        for one in found
    ]
    return kept, notes


@dataclass(frozen=True)
class _Side:
    """Subjects that differ in nothing but seeds, and the evaluations of all seeds, by model."""

    name: str
    evaluations: dict[str, list[Artifact]]


def _sides(subjects: Sequence[Subject], families: SeedFamilies) -> tuple[list[_Side], list[str]]:
    """Put subjects that differ in nothing but seeds on the same side, and add the other seeds that the lake has.

    Where all subjects are alike, they are compared with each other instead: what they differ in is what seeds do.
    """
    groups: list[list[Subject]] = []
    for subject in subjects:
        same = next((group for group in groups if _same(group[0], subject, families)), None)
        if same is None:
            groups.append([subject])
        else:
            same.append(subject)
    notes = []
    if len(groups) == 1:
        groups = [[subject] for subject in subjects]
        made = [{label: one.name for label, one in subject.evaluations.items()} for subject in subjects]
        notes.append(
            "They have the same evaluations, so that no score can differ."
            if all(one == made[0] for one in made)
            else "Their models differ in nothing but seeds: a difference here is what seeds alone do."
        )
    sides = []
    for group in groups:
        evaluations = {}
        for label, one in group[0].evaluations.items():
            given = {subject.evaluations[label].name: subject.evaluations[label] for subject in group}
            # of a run, the lake may have other seeds; a model that is named is meant itself
            others = families.of(one) if group[0].record is not None else []
            evaluations[label] = list((given | {found.name: found for found in others}).values())
        sides.append(_Side(" and ".join(subject.name for subject in group), evaluations))
    return sides, notes


def _same(one: Subject, other: Subject, families: SeedFamilies) -> bool:
    """Whether two subjects have evaluations of the same models, and these differ in nothing but seeds."""
    return (
        bool(one.evaluations)
        and one.evaluations.keys() == other.evaluations.keys()
        and all(
            found.name in {alike.name for alike in families.of(other.evaluations[label])}
            for label, found in one.evaluations.items()
        )
        and one.name != other.name
    )


def _sheet(evaluation: Artifact, artifacts: Sequence[Artifact], known: dict[str, Sheet]) -> Sheet:
    if evaluation.name not in known:
        beside: dict[str, Artifact] = {}
        for one in artifacts:
            if one.manifest.kind in BESIDE and of_one_model(one, evaluation):
                beside.setdefault(one.stage, one)
        try:
            known[evaluation.name] = sheet_of(evaluation, list(beside.values()))
        except (OSError, ValueError, KeyError) as error:
            raise CompareError(f"The scores of {evaluation.name} cannot be read: {error}") from error
    return known[evaluation.name]


def _wanted(rows: Sequence[Row], metrics: Collection[str]) -> list[Row]:
    """Return the rows of the named metrics; raises CompareError with the nearest name if there is none."""
    known = dict.fromkeys(name for row in rows for name in (row.metric, row.name))
    for metric in metrics if rows else ():
        if metric not in known:
            near = nearest(metric, known)
            hint = f" Did you mean {near}?" if near else ""
            raise CompareError(f"There is no metric {metric!r} to compare; there are {', '.join(known)}.{hint}")
    return chosen(rows, metrics)


def _about(subjects: Sequence[Subject]) -> list[str]:
    """Return sentences about subjects that have no scores, or artifacts that are gone."""
    said = []
    for subject in subjects:
        if subject.gone:
            some = ", ".join(subject.gone[:3]) + (" and others" if len(subject.gone) > 3 else "")
            said.append(f"This lake does not have {some} of {subject.name}: another home made it, or it was deleted.")
        if not subject.evaluations:
            said.append(
                f"{subject.name} has no evaluation in this lake, so its scores cannot be tested: "
                "`textmill run` with its recipe evaluates its models."
            )
    shared = [set(subject.evaluations) for subject in subjects]
    if all(shared) and set.intersection(*shared):
        for label in dict.fromkeys(label for subject in subjects for label in subject.evaluations):
            having = [subject.name for subject in subjects if label in subject.evaluations]
            if len(having) < len(subjects):
                said.append(f"Only {' and '.join(having)} evaluated the model {label}.")
    if all(shared) and not set.intersection(*shared):
        said.append(
            "They have no model of the same name: "
            + "; ".join(f"{one.name} has {', '.join(one.evaluations)}" for one in subjects)
            + ". Name two models, as stage/key, to compare these."
        )
    return said


def _subject_json(subject: Subject) -> dict[str, Any]:
    record = subject.record
    run = None if record is None else {
        "run_id": record.run_id, "name": record.name, "variant": record.variant, "status": record.status,
        "started_at": record.started_at,
    }  # fmt: skip
    return {
        "name": subject.name,
        "run": run,
        "artifacts": {node: one.name for node, one in subject.artifacts.items()},
        "not_in_the_lake": list(subject.gone),
    }


def _row_json(row: Row) -> dict[str, Any]:
    return {name: value for name, value in asdict(row).items() if name != "tested"} | {"name": row.name}
