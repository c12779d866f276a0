"""Selects the texts to learn from: no text in two splits, every label in each, and all others accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_lake.reading.ledger import Tally
from data_lake.tables.documents import SPLITS
from data_lake.tables.draws import hash_draw
from tasks.corpus.splits import word_key
from tasks.stage import Artifact, Output, PermanentError
from tasks.stage.rejected import Rejected
from tasks.training.classify.reading import Row, rows_of
from tasks.training.classify.splitting import divided, splits_reached

if TYPE_CHECKING:
    from model.tokenizer import Tokenizer
    from tasks.training.classify.config import ClassifyConfig

BROKEN = "broken record"
FOR = {"train": "to learn from", "val": "to watch training", "test": "for the test"}


@dataclass(frozen=True)
class Lesson:
    """A text to learn from or to measure on: where it came from, the number of its label, and its token ids.

    page: the page that the text is from, or itself.
    """

    place: str
    text: str
    label: int
    ids: tuple[int, ...]
    page: str


@dataclass(frozen=True)
class Lessons:
    """The names of the labels, sorted, and the texts of each split, in the order of their hashes."""

    labels: Sequence[str]
    by_split: Mapping[str, Sequence[Lesson]]


def gather(config: ClassifyConfig, out: Output, corpus: Artifact | None, tokenizer: Tokenizer, context: int) -> Lessons:
    """Return the texts by split, and put all others aside with their reasons.

    Texts with the same words are one text, so that none is in two splits; if they have different labels, the first
    stays. The splits are shares of each label, by hash; texts of one page are in one split, and those of a page that
    the corpus holds out are held out.
    """
    from model.labels import text_ids

    limit = min(context, config.max_tokens or context)
    tally, rejected = Tally("texts"), Rejected(out, BROKEN)
    first: dict[str, Row] = {}
    ids: dict[Row, tuple[int, ...]] = {}
    beginnings: set[Row] = set()  # of which only the beginning is read

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
            first[key], ids[row] = row, found
            if long:
                beginnings.add(row)
    by_label: dict[str, list[Row]] = {}
    ordered = [first[key] for key in sorted(first, key=lambda key: hash_draw("classify", key))]
    for row in ordered:
        by_label.setdefault(row.label, []).append(row)
    for label, rows in list(by_label.items()):
        few = "" if len(rows) >= config.min_texts else f"{label!r} has fewer than {config.min_texts} different texts"
        alike = "" if splits_reached(rows) == len(SPLITS) else f"{label!r} is on too few pages to be in every split"
        if few or alike:
            for row in by_label.pop(label):
                reject(row, "rare label" if few else "too few pages", few or alike)
    if len(by_label) < 2:
        one = f"only {next(iter(by_label))!r} is left" if by_label else "none is left"
        raise PermanentError(
            f"There must be two labels to tell apart, and {one}"
            + (f"; put aside: {rejected.summary()}" if rejected.rows else "")
            + ". Check classify.data, classify.label and classify.min_texts."
        )
    most = min(config.max_texts, min(map(len, by_label.values()))) if config.balance == "undersample" else None
    reason = "left out for balance" if most is not None else "beyond max_texts"
    split_of: dict[Row, str] = {}
    for label, rows in by_label.items():
        chosen = rows[: most or config.max_texts]
        for row in rows[len(chosen) :]:
            tally.remove(reason, len(row.text.encode()))
        shares = {"val": config.validation, "test": config.test}
        held = {name: max(1, round(share * len(chosen))) for name, share in shares.items()}
        parts = divided(chosen, {"train": len(chosen) - sum(held.values()), **held})
        if empty := [name for name in SPLITS if not parts[name]]:
            raise PermanentError(
                f"Of the {len(chosen)} texts of {label!r} that are left none is {FOR[empty[0]]}, as they or their "
                "pages are too few; raise classify.max_texts, or classify.min_texts, which leaves rare labels out."
            )
        split_of |= {row: name for name, part in parts.items() for row in part}
    labels = sorted(by_label)
    numbers = {label: number for number, label in enumerate(labels)}
    kept: dict[str, list[Lesson]] = {name: [] for name in SPLITS}
    for row in ordered:
        if row in split_of:
            tally.keep(len(row.text.encode()))
            lesson = Lesson(row.place, row.text, numbers[row.label], ids[row], row.page or row.text)
            kept[split_of[row]].append(lesson)
    rejected.write(out.warning if config.data else out.info)  # duplicates among pages are normal
    cut = len(beginnings & split_of.keys())
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
