"""The classify stage: a pretrained network learns to name labels, and is compared with simpler ways to do so."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_lake.store.files import write_whole
from data_lake.store.fingerprint import file_sha256, sha256_of
from tasks.stage import Artifact, Output, kinds, stage
from tasks.stage.gains import paired
from tasks.stage.work import fine_tuning
from tasks.training.classify.config import ClassifyConfig
from tasks.training.classify.controls import majority, tfidf
from tasks.training.classify.curve import Point, learning_curve, verdict
from tasks.training.classify.gather import Lesson, Lessons, gather
from tasks.training.classify.learning import beside, learn, probabilities_of
from tasks.training.classify.measures import difference, measure
from tasks.training.classify.pictures import draw, labels_curve
from tasks.training.classify.preflight import check
from tasks.training.classify.reading import held_out_files, label_files
from tasks.training.train import loss_curve
from tasks.training.trained import load_trained
from tasks.training.written import whole_model, write_model

if TYPE_CHECKING:
    from model.config import Training
    from model.gpt import GPT

LABELS, CLASSIFIED, CURVE = "labels.json", "classified.parquet", "curve.json"


def sources(config: ClassifyConfig) -> str | None:
    """Return a fingerprint of all files of texts, so that the network is trained again if one is edited."""
    if not config.data:
        return None
    files = {"train": label_files(config.data), **held_out_files(config)}
    return sha256_of({split: [(path.name, file_sha256(path)) for path in paths] for split, paths in files.items()})


def contract(artifact: Artifact) -> Iterator[str]:
    """Check that the network is complete, that it has as many outputs as labels, and that its accuracy is a share."""
    yield from whole_model(artifact)
    labels = json.loads((artifact.path / LABELS).read_text("utf-8"))["labels"]
    outputs = json.loads((artifact.path / "model.json").read_text())["head"]["outputs"]
    if len(labels) != outputs:
        yield f"{LABELS} names {len(labels)} labels, but the head has {outputs} outputs."
    accuracy = artifact.metrics.get("accuracy")
    if accuracy is None or not 0 <= accuracy <= 1:
        yield f"The metric accuracy is {accuracy}, not a share."


@stage(
    makes=kinds.Classifier,
    headline=("accuracy", "macro_f1"),
    version=1,
    contract=contract,
    sources=sources,
    check=check,
    gpu=True,
    work=fine_tuning,
)
def classify(config: ClassifyConfig, out: Output, base: kinds.Model, corpus: kinds.Corpus | None = None) -> None:
    """Learn to name the label of a text, and say how good it is on texts held out for a test.

    `accuracy` is the share of test texts named rightly, the mean over `repeats` trainings, with the standard error
    over texts, or over pages where several texts are of one; `macro_f1`, `ece` and `auc` are those of the first
    training, which is kept. `majority_accuracy`, `tfidf_accuracy` and `untrained_accuracy` are what the most frequent
    label, logistic regression on tf-idf and the same network from random weights reach; `gain_over_…` is the accuracy
    minus theirs, text by text. With files of the user's own, a test text may be among those learned from, too: then
    `unseen_…` is the same of the others.
    """
    model, tokenizer = load_trained(base)
    pad = tokenizer.pad if tokenizer.has("pad") else 0  # which id it is does not matter: padding is masked by length
    lessons = gather(config, out, corpus, tokenizer, model.config.max_seq_len)
    learned, asked = lessons.by_split["train"], lessons.by_split["test"]
    truth = np.array([lesson.label for lesson in asked])
    out.info(
        f"Learning {len(lessons.labels)} labels from {len(learned):,} texts; {len(asked):,} are held out for the test."
    )
    network, history = learn(config, out, model, lessons, learned, config.training, pad)
    out.figure("loss", loss_curve(history, "learning labels"))
    found = probabilities_of(network, asked, pad)
    measures = measure(found, truth)
    out.metric(macro_f1=measures.macro_f1, ece=measures.ece, auc=measures.auc)
    draw(out, measures, lessons.labels, found, truth)
    _compare(config, out, model, lessons, found, pad)
    rows = list(_rows(asked, lessons.labels, found))
    _write_rows(out.dir / CLASSIFIED, rows)
    write_whole(out.dir / LABELS, json.dumps({"labels": lessons.labels, "max_tokens": config.max_tokens}) + "\n")
    write_model(out, network, tokenizer, rows[: config.samples])


def _compare(config: ClassifyConfig, out: Output, base: GPT, lessons: Lessons, first: np.ndarray, pad: int) -> None:
    """Report the accuracy beside that of the controls and, if it is asked for, by the number of labels."""
    learned, asked = lessons.by_split["train"], lessons.by_split["test"]
    truth = np.array([lesson.label for lesson in asked])
    pages = [lesson.page for lesson in asked]  # whose texts resemble each other

    def right(name: str, texts: Sequence[Lesson], training: Training, pretrained: bool) -> np.ndarray:
        made = beside(name, config, out, base, lessons, texts, training, pad, pretrained=pretrained)
        return np.asarray(made.argmax(1) == truth)

    seeds = range(config.training.seed, config.training.seed + config.repeats)
    trainings = [config.training.model_copy(update={"seed": seed}) for seed in seeds]
    named = [first.argmax(1) == truth]
    named += [right(f"repeat-{one.seed}", learned, one, True) for one in trainings[1:]]
    ours = np.mean(named, axis=0)
    controls = {
        "majority": majority(learned, asked).astype(float),
        "tfidf": tfidf(learned, asked, balanced=config.class_weights == "balanced").astype(float),
    }
    if config.controls:
        runs = [right(f"untrained-{one.seed}", learned, one, False) for one in trainings]
        controls["untrained"] = np.mean(runs, axis=0)
    found, said = _beside(ours, controls, pages)
    out.metric(**found)
    out.info(f"Test accuracy {ours.mean():.3f} in the mean of {config.repeats} trainings; beside it: {said}.")
    unseen = np.array([not lesson.seen for lesson in asked])
    if not unseen.any():
        out.warning("All test texts are among those to learn from, so that nothing is known of new texts.")
        return
    if not unseen.all():
        asked, ours, pages = list(compress(asked, unseen)), ours[unseen], list(compress(pages, unseen))
        controls = {name: theirs[unseen] for name, theirs in controls.items()}
        found, said = _beside(ours, controls, pages)
        out.metric(**{f"unseen_{name}": number for name, number in found.items()})
        out.info(f"On the {len(asked):,} test texts that are not learned it is {ours.mean():.3f}; beside it: {said}.")
    out.gain(paired("texts labelled rightly", "tf-idf", controls["tfidf"].tolist(), ours.tolist(), groups=pages))
    curve = config.curve
    if curve is not None:

        def of_drawn(name: str, number: int, seed: int, texts: Sequence[Lesson]) -> np.ndarray:
            training = config.training.model_copy(update={"seed": seed, "steps": curve.steps})
            return right(f"curve-{name}-{number}-{seed}", texts, training, name == "pretrained")[unseen]

        _report_curve(out, learning_curve(curve, learned, asked, of_drawn))


def _beside(
    ours: np.ndarray, controls: Mapping[str, np.ndarray], pages: Sequence[str]
) -> tuple[dict[str, float | None], str]:
    """Return the accuracy, the controls' and the gains over them, as metrics and, of the controls, in words."""
    numbers: dict[str, float | None] = {
        "accuracy": float(ours.mean()),
        "accuracy_stderr": _known(difference(ours, np.zeros(len(ours)), pages).stderr),
        "untrained_accuracy": None,
    }
    said = []
    for name, theirs in controls.items():
        gain = difference(ours, theirs, pages)
        numbers |= {
            f"{name}_accuracy": float(theirs.mean()),
            f"gain_over_{name}": gain.mean,
            f"gain_over_{name}_stderr": _known(gain.stderr),
        }
        clear = "" if gain.clear else ", which is not a gain of more than two standard errors"
        said.append(f"{name} {theirs.mean():.3f} ({gain.mean:+.3f} ± {gain.stderr:.3f}{clear})")
    return numbers, "; ".join(said)


def _report_curve(out: Output, points: Sequence[Point]) -> None:
    rows = [point.row() for point in points]
    write_whole(out.dir / CURVE, json.dumps(rows, indent=2) + "\n")
    out.table("curve", rows)
    out.figure("accuracy_by_labels", labels_curve(points))
    for over in ("untrained", "tfidf"):
        out.info(verdict(points, over))


def _known(number: float) -> float | None:
    return None if math.isnan(number) else number


def _rows(asked: Sequence[Lesson], labels: Sequence[str], found: np.ndarray) -> Iterator[dict[str, Any]]:
    for lesson, row in zip(asked, found, strict=True):
        named = int(row.argmax())
        yield {
            "place": lesson.place, "text": lesson.text, "label": labels[lesson.label], "named": labels[named],
            "probability": float(row[named]), "correct": named == lesson.label,
        }  # fmt: skip


def _write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from data_lake.tables.schemas import CLASSIFIED as SCHEMA

    pq.write_table(pa.Table.from_pylist(list(rows), SCHEMA), path)
