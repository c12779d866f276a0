"""Selects the texts to learn from: no text in two splits, every label in each, and all others accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_lake.reading.ledger import Tally
from data_lake.tables.documents import SPLITS
from data_lake.tables.draws import hash_draw
from tasks.corpus.splits import word_key
from tasks.stage import Artifact, Output, PermanentError
from tasks.stage.rejected import Rejected
from tasks.training.classify.reading import FIELDS, Row, held_out_files, rows_of, rows_of_file
from tasks.training.classify.splitting import divided, splits_reached

if TYPE_CHECKING:
    from model.tokenizer import Tokenizer
    from tasks.training.classify.config import ClassifyConfig

BROKEN = "broken record"
FOR = {"train": "to learn from", "val": "to watch training", "test": "for the test"}


@dataclass(frozen=True)
class Lesson:
    """A text to learn from or to measure on: where it came from, the number of its label, and its token ids.

    page: the page that the text is from, or itself. seen: whether the text is held out, but one with the same words is
    learned, as can be with files of the user's own.
    """

    place: str
    text: str
    label: int
    ids: tuple[int, ...]
    page: str
    seen: bool = False


@dataclass(frozen=True)
class Lessons:
    """The names of the labels, sorted, and the texts of each split, in the order of their hashes."""

    labels: Sequence[str]
    by_split: Mapping[str, Sequence[Lesson]]


class _Account:
    """Reads rows into token ids, and accounts for those that are not used."""

    def __init__(self, config: ClassifyConfig, out: Output, tokenizer: Tokenizer, limit: int) -> None:
        self.tally, self.rejected = Tally("texts"), Rejected(out, BROKEN)
        self.cut = 0  # used texts of which only the beginning is read
        self._beginnings: set[Row] = set()
        self._ids: dict[Row, tuple[int, ...]] = {}
        self._drop, self._tokenizer, self._limit = config.long_texts == "drop", tokenizer, limit

    def reject(self, row: Row, kind: str, reason: str) -> None:
        """Put a row aside."""
        self.tally.remove(kind, len(row.text.encode("utf-8", "replace")))
        self.rejected.add(kind, row.place, reason, row.text)

    def usable(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield the rows that have a text and a label and are not too long, and put the others aside."""
        from model.labels import text_ids

        for row in rows:
            if row.kind:
                self.reject(row, row.kind, row.reason)
                continue
            ids, long = text_ids(self._tokenizer, row.text, self._limit)
            if long and self._drop:
                self.reject(row, "longer than the limit", f"more than {self._limit:,} tokens")
                continue
            self._ids[row] = ids
            if long:
                self._beginnings.add(row)
            yield row

    def lesson(self, row: Row, number: int, page: str, *, seen: bool = False) -> Lesson:
        """Count a row as used, and return it with the number of its label."""
        self.tally.keep(len(row.text.encode()))
        self.cut += row in self._beginnings
        return Lesson(row.place, row.text, number, self._ids[row], page, seen)


def gather(config: ClassifyConfig, out: Output, corpus: Artifact | None, tokenizer: Tokenizer, context: int) -> Lessons:
    """Return the texts by split, and put all others aside with their reasons.

    Texts with the same words are one text, so that none is in two splits; if they have different labels, the first
    stays. The splits are shares of each label, by hash; texts of one page are in one split, and those of a page that
    the corpus holds out are held out. A split that has files of its own is what these say, text by text.
    """
    limit = min(context, config.max_tokens or context)
    account = _Account(config, out, tokenizer, limit)
    own_files = held_out_files(config)
    first: dict[str, Row] = {}
    for row in account.usable(rows_of(config, corpus)):
        before = first.setdefault(word_key(row.text), row)
        if before is not row:
            same = before.label == row.label
            kind = "duplicate text" if same else "same text with another label"
            reason = f"the words of {before.place}" + ("" if same else f", whose label is {before.label!r}")
            account.reject(row, kind, reason)
    ordered = {first[key]: key for key in sorted(first, key=lambda key: hash_draw("classify", key))}
    split_of = _split(config, account, list(ordered), own_files)
    labels = sorted({row.label for row in split_of})
    numbers = {label: number for number, label in enumerate(labels)}
    kept: dict[str, list[Lesson]] = {name: [] for name in SPLITS}
    for row in ordered:
        if row in split_of:
            kept[split_of[row]].append(account.lesson(row, numbers[row.label], row.page or row.text))
    learned = {key for row, key in ordered.items() if split_of.get(row) == "train"}
    for name, paths in own_files.items():
        rows = (row for path in paths for row in rows_of_file(path, config.text, config.label))
        kept[name] = _given(name, account, rows, numbers, learned)
    account.rejected.write(out.warning if config.data else out.info)  # duplicates among pages are normal
    if account.cut:
        out.info(f"Of {account.cut:,} texts only the first {limit:,} tokens are read (classify.long_texts).")
    seen = {name: sum(lesson.seen for lesson in part) for name, part in kept.items()}
    for name, number in seen.items():
        if number:
            out.warning(
                f"Of the {len(kept[name]):,} texts {FOR[name]} ({FIELDS[name]}) {number:,} are among those to learn "
                "from, too; what is measured on them says nothing of new texts."
            )
    out.ledger(account.tally.ledger())
    counted = Counter(labels[lesson.label] for part in kept.values() for lesson in part)
    out.table("labels", [{"label": label, "texts": counted[label]} for label in labels])
    out.count(
        labels=len(labels), texts=len(kept["train"]), validation_texts=len(kept["val"]), test_texts=len(kept["test"]),
        seen_validation_texts=seen["val"], seen_test_texts=seen["test"], rejected=len(account.rejected.rows),
        cut_texts=account.cut,
    )  # fmt: skip
    return Lessons(labels, kept)


def _split(
    config: ClassifyConfig, account: _Account, ordered: Sequence[Row], own_files: Mapping[str, object]
) -> dict[Row, str]:
    """Return the split of each text that is learned or held out by its share; the others are put aside."""
    by_label: dict[str, list[Row]] = {}
    for row in ordered:
        by_label.setdefault(row.label, []).append(row)
    for label, rows in list(by_label.items()):
        few = "" if len(rows) >= config.min_texts else f"{label!r} has fewer than {config.min_texts} different texts"
        alike = "" if splits_reached(rows) == len(SPLITS) else f"{label!r} is on too few pages to be in every split"
        if few or alike:
            for row in by_label.pop(label):
                account.reject(row, "rare label" if few else "too few pages", few or alike)
    if len(by_label) < 2:
        one = f"only {next(iter(by_label))!r} is left" if by_label else "none is left"
        raise PermanentError(
            f"There must be two labels to tell apart, and {one}"
            + (f"; put aside: {account.rejected.summary()}" if account.rejected.rows else "")
            + ". Check classify.data, classify.label and classify.min_texts."
        )
    most = min(config.max_texts, min(map(len, by_label.values()))) if config.balance == "undersample" else None
    reason = "left out for balance" if most is not None else "beyond max_texts"
    shares = {"val": config.validation, "test": config.test}
    split_of: dict[Row, str] = {}
    for label, rows in by_label.items():
        chosen = rows[: most or config.max_texts]
        for row in rows[len(chosen) :]:
            account.tally.remove(reason, len(row.text.encode()))
        held = {name: max(1, round(share * len(chosen))) for name, share in shares.items() if name not in own_files}
        parts = divided(chosen, {"train": len(chosen) - sum(held.values()), **held})
        if empty := [name for name, part in parts.items() if not part]:
            raise PermanentError(
                f"Of the {len(chosen)} texts of {label!r} that are left none is {FOR[empty[0]]}, as they or their "
                "pages are too few; raise classify.max_texts, or classify.min_texts, which leaves rare labels out."
            )
        split_of |= {row: name for name, part in parts.items() for row in part}
    return split_of


def _given(
    name: str, account: _Account, rows: Iterator[Row], numbers: Mapping[str, int], learned: set[str]
) -> list[Lesson]:
    """Return the texts of a split's own files, each as often as it stands there, also where it is learned.

    They are in the order of their hashes too, as a validation in between reads only the first.
    """
    found: list[tuple[str, Lesson]] = []
    for row in account.usable(rows):
        if row.label not in numbers:
            account.reject(row, "label not learned", f"no text of the label {row.label!r} is learned")
            continue
        key = word_key(row.text)
        found.append((key, account.lesson(row, numbers[row.label], key, seen=key in learned)))
    if not found:
        raise PermanentError(
            f"{FIELDS[name]} has no text with a label that is learned ({', '.join(sorted(numbers))}); put aside: "
            f"{account.rejected.summary()}."
        )
    return [lesson for _, lesson in sorted(found, key=lambda one: hash_draw("classify", one[0]))]
