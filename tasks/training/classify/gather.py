"""Selects the texts to learn from: no text in two splits, every label in each, and all others accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_lake.reading.ledger import Tally
from data_lake.tables.draws import hash_draw
from tasks.corpus.splits import word_key
from tasks.stage import Artifact, Output, PermanentError
from tasks.stage.rejected import Rejected
from tasks.training.classify.reading import Row, rows_of

if TYPE_CHECKING:
    from model.tokenizer import Tokenizer
    from tasks.training.classify.config import ClassifyConfig

BROKEN = "broken record"
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Lesson:
    """A text to learn from or to measure on: where it came from, the number of its label, and its token ids."""

    place: str
    text: str
    label: int
    ids: tuple[int, ...]


@dataclass(frozen=True)
class Lessons:
    """The names of the labels, sorted, and the texts of each split, in the order of their hashes."""

    labels: Sequence[str]
    by_split: Mapping[str, Sequence[Lesson]]


def gather(config: ClassifyConfig, out: Output, corpus: Artifact | None, tokenizer: Tokenizer, context: int) -> Lessons:
    """Return the texts by split, and put all others aside with their reasons.

    Texts with the same words are one text, so that none is in two splits; if they have different labels, the first
    stays. The splits are shares of each label, by hash.
    """
    from model.classification import text_ids

    limit = min(context, config.max_tokens or context)
    tally, rejected = Tally("texts"), Rejected(out, BROKEN)
    first: dict[str, Row] = {}
    ids: dict[str, tuple[int, ...]] = {}
    beginnings: set[str] = set()  # of which only the beginning is read

    def reject(row: Row, kind: str, reason: str) -> None:
        tally.remove(kind, len(row.text.encode("utf-8", "replace")))
        rejected.add(kind, row.place, reason, row.text)

    for row in rows_of(config, corpus):
        key = word_key(row.text)
        if row.kind:
            reject(row, row.kind, row.reason)
        elif key in first:
            before = first[key]
            same = before.label == row.label
            kind = "duplicate text" if same else "same text with another label"
            reject(row, kind, f"the words of {before.place}" + ("" if same else f", whose label is {before.label!r}"))
        else:
            found, long = text_ids(tokenizer, row.text, limit)
            if long and config.long_texts == "drop":
                reject(row, "longer than the limit", f"more than {limit:,} tokens")
                continue
            first[key], ids[key] = row, found
            if long:
                beginnings.add(key)
    by_label: dict[str, list[str]] = {}
    for key in sorted(first, key=lambda key: hash_draw("classify", key)):
        by_label.setdefault(first[key].label, []).append(key)
    for label in [label for label, keys in by_label.items() if len(keys) < config.min_texts]:
        for key in by_label.pop(label):
            reject(first[key], "rare label", f"{label!r} has fewer than {config.min_texts} different texts")
    if len(by_label) < 2:
        one = f"only {next(iter(by_label))!r} is left" if by_label else "none is left"
        raise PermanentError(
            f"There must be two labels to tell apart, and {one}"
            + (f"; put aside: {rejected.summary()}" if rejected.rows else "")
            + ". Check classify.data, classify.label and classify.min_texts."
        )
    most = min(config.max_texts, min(map(len, by_label.values()))) if config.balance == "undersample" else None
    reason = "left out for balance" if most is not None else "beyond max_texts"
    split: dict[str, list[str]] = {name: [] for name in SPLITS}
    for keys in by_label.values():
        for key in keys[most or config.max_texts :]:
            tally.remove(reason, len(first[key].text.encode()))
        chosen = keys[: most or config.max_texts]
        n_test, n_val = (max(1, round(share * len(chosen))) for share in (config.test, config.validation))
        n_train = len(chosen) - n_test - n_val
        if n_train < 1:
            raise PermanentError(
                f"Of the {len(chosen)} texts of {first[chosen[0]].label!r} none is left to learn from; lower "
                "classify.validation and classify.test, or raise classify.min_texts."
            )
        parts = (chosen[:n_train], chosen[n_train : n_train + n_val], chosen[n_train + n_val :])
        for name, part in zip(SPLITS, parts, strict=True):
            split[name] += part
    labels = sorted(by_label)
    numbers = {label: number for number, label in enumerate(labels)}
    kept = {}
    for name, keys in split.items():
        keys.sort(key=lambda key: hash_draw("classify", key))
        kept[name] = [Lesson(first[k].place, first[k].text, numbers[first[k].label], ids[k]) for k in keys]
        for key in keys:
            tally.keep(len(first[key].text.encode()))
    rejected.write(out.warning if config.data else out.info)  # duplicates among pages are normal
    cut = sum(key in beginnings for keys in split.values() for key in keys)
    if cut:
        out.info(f"Of {cut:,} texts only the first {limit:,} tokens are read (classify.long_texts).")
    out.ledger(tally.ledger())
    counted = Counter(labels[lesson.label] for part in kept.values() for lesson in part)
    out.table("labels", [{"label": label, "texts": counted[label]} for label in labels])
    out.count(
        labels=len(labels), texts=len(kept["train"]), validation_texts=len(kept["val"]), test_texts=len(kept["test"]),
        rejected=len(rejected.rows), cut_texts=cut,
    )  # fmt: skip
    return Lessons(labels, kept)
