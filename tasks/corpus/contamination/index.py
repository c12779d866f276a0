"""The n-gram index: every run of 13 words of every benchmark item as sorted 64-bit hashes, and the search for them.

It is not a Bloom filter, whose false positives were "quite high" in practice and cannot be distinguished from true ones
afterwards (marin #5519). Here a hash that is found only nominates a place, and the words themselves decide. An item
shorter than 13 words is looked for as a whole; its first 1, 2, 4 or 8 words nominate it, so that any number of
different lengths costs four passes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_lake.tables.arrow_columns import text_bytes
from data_lake.text.folding import fold, fold_with_places
from data_lake.text.units import mix64, run_hashes, word_hashes, word_spans, words
from tasks.corpus.benchmarks.item import Item
from tasks.corpus.contamination.leaks import Leaks
from tasks.corpus.contamination.marks import may_have_marks, without_marks

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Hits:
    """Where n-grams of the index occur in texts, confirmed by their words; one row each, sorted by text and place.

    text: number of the text; entry: number of the n-gram in the index; place: number of its first word in the text;
    length: its number of words there, for a leak including the choices; start, end: its character range in the text.
    All are int64.
    """

    text: np.ndarray
    entry: np.ndarray
    place: np.ndarray
    length: np.ndarray
    start: np.ndarray
    end: np.ndarray

    def __len__(self) -> int:
        return len(self.text)


@dataclass(frozen=True)
class Words:
    """Texts as the index reads them: the hashes of their folded words, those of text i at `offsets[i] … offsets[i+1]`.

    `text(i)` is called only for texts in which something was nominated. marked: the numbers of the texts that may have
    marks between their words; unmarked: a function that makes a `Words` from such texts after their marks are removed.
    """

    hashes: np.ndarray
    offsets: np.ndarray
    text: Callable[[int], str]
    marked: Sequence[int] = ()
    unmarked: Callable[[list[str]], Words] | None = None

    @classmethod
    def of(cls, texts: Sequence[str]) -> Words:
        """Split texts into words."""
        return cls(*word_hashes([fold(text) for text in texts]), texts.__getitem__, range(len(texts)), cls.of)

    @classmethod
    def of_column(cls, texts: pa.Array) -> Words:
        """Split the texts of an Arrow column into words: five times as fast as `of`, without Python strings."""
        import pyarrow as pa

        from data_lake.text.kernels import word_hashes_of

        marked = np.flatnonzero(may_have_marks(*text_bytes(texts))).tolist()
        made = functools.partial(pa.array, type=pa.large_string())
        return cls(*word_hashes_of(texts), lambda i: texts[i].as_py(), marked, lambda again: cls.of_column(made(again)))

    def runs(self, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the hashes of all runs of `length` words that lie within a text, and the text of each."""
        counts = np.maximum(0, np.diff(self.offsets) - length + 1)
        before = np.cumsum(counts) - counts
        places = np.arange(counts.sum()) + np.repeat(self.offsets[:-1] - before, counts)
        return run_hashes(self.hashes, length)[places], np.repeat(np.arange(len(counts)), counts)


class HashTable:
    """A sorted set of 64-bit hashes, made for looking up very many other hashes, almost none of which are in the set.

    A table indexed by the first bits of a hash answers most lookups without a search: it has 32 times as many places as
    the set has hashes, so 3 % are taken. Hashes that pass are searched for in the sorted array, so the answer is exact.
    """

    def __init__(self, keys: np.ndarray) -> None:
        """keys: uint64, sorted and distinct."""
        self.keys = keys
        bits = min(28, max(10, len(keys).bit_length() + 5))
        self._shift = np.uint64(64 - bits)
        self._taken = np.zeros(1 << bits, dtype=bool)
        self._taken[keys >> self._shift] = True

    def find(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which of the hashes are in the set, and where: positions in `hashes` and numbers of keys, int64."""
        if not len(self.keys):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        places = np.flatnonzero(self._taken[hashes >> self._shift])
        number = np.minimum(np.searchsorted(self.keys, hashes[places]), len(self.keys) - 1)
        found = self.keys[number] == hashes[places]
        return places[found], number[found]


class NgramIndex:
    """All n-grams of a list of items. Entry e is the run of `length[e]` words at word `start[e]` of item `item[e]`.

    The n-grams of an item with a short question are followed by up to two more entries, each of which stands for all of
    them: the question alone, if it is long enough and occurs in no other item, and the question as it leaks, with its
    choices or answer.
    """

    def __init__(self, items: Sequence[Item], words_per_ngram: int, shortest: int) -> None:
        """Items of fewer than `shortest` words have no entries; they are in `too_short`."""
        self.items = items
        folded = [fold(item.text) for item in items]
        self._folded = folded
        hashes, offsets = word_hashes(folded)
        sizes = np.diff(offsets)
        self.too_short = sizes < shortest
        self._counts = np.where(self.too_short, 0, np.maximum(1, sizes - words_per_ngram + 1))
        self._leaks = Leaks(items, (hashes, offsets), words_per_ngram, self.too_short)
        counts = self._counts + self._leaks.alone + self._leaks.leads
        self.first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.item = np.repeat(np.arange(len(items)), counts)
        self.start = np.arange(self.first[-1]) - self.first[self.item]
        self.whole = self.start >= self._counts[self.item]
        # the question as it leaks: the second of two such entries, or the only one
        self.lead = self.whole & ((self.start > self._counts[self.item]) | ~self._leaks.alone[self.item])
        self.start[self.whole] = 0
        self.length = np.minimum(words_per_ngram, sizes[self.item])
        self.length[self.whole] = self._leaks.question_words[self.item[self.whole]]
        places = offsets[self.item] + self.start
        self.hashes = _hash_runs(hashes, places, self.length)
        # the anchor of an entry nominates it: a whole n-gram, or the first 1, 2, 4, 8 … words of a shorter item
        whole = self.length == words_per_ngram
        anchors = np.where(whole, self.length, 1 << (np.frexp(self.length)[1].astype(np.int64) - 1))
        self._tables: list[tuple[int, HashTable, np.ndarray, np.ndarray]] = []
        for length in np.unique(anchors).tolist():
            entries = np.flatnonzero(anchors == length)
            anchor = _hash_runs(hashes, places[entries], np.full(len(entries), length))
            order = np.argsort(anchor, kind="stable")
            keys, first = np.unique(anchor[order], return_index=True)
            bounds = np.append(first, len(order))
            self._tables.append((length, HashTable(keys), bounds, entries[order]))

    def __len__(self) -> int:
        """Return how many entries there are; one that several items share counts once for each of them."""
        return len(self.item)

    @property
    def ngram_counts(self) -> np.ndarray:
        """How many n-grams each item has, 1 if it is looked for as a whole: int64[n_items]."""
        return self._counts

    @property
    def weight(self) -> np.ndarray:
        """How many of its item's n-grams each entry stands for: int64[n_entries]."""
        return np.where(self.whole, self._counts[self.item], 1)

    @property
    def phrases(self) -> np.ndarray:
        """A number for each entry, the same for the same words; leaks have one per item, not being phrases."""
        keys = self.hashes.copy()
        keys[self.lead] = mix64(keys[self.lead] ^ mix64(self.item[self.lead].astype(np.uint64) + np.uint64(1)))
        return np.unique(keys, return_inverse=True)[1]

    def ngrams(self, item: int) -> int:
        """Return how many n-grams an item has; 1 for one that is looked for as a whole."""
        return int(self._counts[item])

    def find(self, given: Words) -> Hits:
        """Return every n-gram of the index in the texts, searched as they are and without marks between words."""
        hits = self._find(given)
        cleaned = {i: clean for i in given.marked if (clean := without_marks(given.text(i))) is not None}
        if not cleaned or given.unmarked is None:
            return hits
        rows = np.array(list(cleaned), dtype=np.int64)
        again = self._find(given.unmarked([clean.text for clean in cleaned.values()]))
        found = [tuple(column.tolist()) for column in (hits.text, hits.entry, hits.start)]
        known = set(zip(*found, strict=True))
        columns = [list(column) for column in vars(hits).values()]
        for number in np.unique(again.text).tolist():
            row, clean = int(rows[number]), cleaned[int(rows[number])]
            folded = fold_with_places(given.text(row))
            words_at = folded.starts[word_spans(folded.text)[0]]
            for k in np.flatnonzero(again.text == number).tolist():
                start, end = int(clean.starts[again.start[k]]), int(clean.ends[again.end[k] - 1])
                entry = int(again.entry[k])
                if (row, entry, start) not in known:
                    place = max(0, int(np.searchsorted(words_at, start, "right")) - 1)
                    length = int(np.searchsorted(words_at, end, "left")) - place
                    for column, value in zip(columns, (row, entry, place, length, start, end), strict=True):
                        column.append(value)
        merged = [np.array(column, dtype=np.int64) for column in columns]
        order = np.lexsort((merged[1], merged[2], merged[0]))
        return Hits(*(column[order] for column in merged))

    def _find(self, given: Words) -> Hits:
        places, entries = self._nominated(given.hashes)
        # drop runs that begin in one text and end in the next
        owner = np.searchsorted(given.offsets, places, side="right") - 1
        inside = places + self.length[entries] <= given.offsets[owner + 1]
        places, entries, owner = places[inside], entries[inside], owner[inside]
        order = np.lexsort((entries, places))
        return self._confirmed(given, places[order] - given.offsets[owner[order]], entries[order], owner[order])

    @functools.lru_cache(maxsize=1024)  # noqa: B019  an index lives as long as its process
    def _words(self, item: int) -> list[str]:
        return words(self._folded[item])  # only of the few items found: splitting all takes as long as hashing

    def _nominated(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (first word, entry) of all runs of words that have the hash of an entry."""
        found = [(np.empty(0, np.int64), np.empty(0, np.int64))]
        for length, table, bounds, entries in self._tables:
            at, key = table.find(run_hashes(hashes, length))
            counts = bounds[key + 1] - bounds[key]
            within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            entry = entries[np.repeat(bounds[key], counts) + within]
            at = np.repeat(at, counts)
            fits = at + self.length[entry] <= len(hashes)
            at, entry = at[fits], entry[fits]
            longer = self.length[entry] != length
            same = np.ones(len(at), dtype=bool)
            same[longer] = _hash_runs(hashes, at[longer], self.length[entry[longer]]) == self.hashes[entry[longer]]
            lead = np.flatnonzero(same & self.lead[entry])
            same[lead] = self._leaks.may_follow(hashes, at[lead] + self.length[entry[lead]], self.item[entry[lead]])
            found.append((at[same], entry[same]))
        places, numbers = zip(*found, strict=True)
        return np.concatenate(places), np.concatenate(numbers)

    def _confirmed(self, given: Words, places: np.ndarray, entries: np.ndarray, owner: np.ndarray) -> Hits:
        """Return the nominated places whose words are the entry's own, with their characters in the original text."""
        starts, ends = np.zeros(len(places), np.int64), np.zeros(len(places), np.int64)
        good = np.zeros(len(places), dtype=bool)
        lengths = self.length[entries].copy()
        for number in np.unique(owner).tolist():
            here = np.flatnonzero(owner == number)
            folded = fold_with_places(given.text(number))
            text = folded.text
            begin, end = word_spans(text)
            compared: dict[tuple[int, str], int] = {}  # a phrase that a page repeats a million times is compared once
            for k in here.tolist():
                place, entry, length = int(places[k]), int(entries[k]), int(lengths[k])
                item, size = int(self.item[entry]), length
                if self.lead[entry]:
                    size = min(self._leaks.window(item), len(begin) - place)
                case = (entry, text[begin[place] : end[place + size - 1]])
                if case not in compared:
                    spans = zip(begin[place : place + size].tolist(), end[place : place + size].tolist(), strict=True)
                    found = [text[a:b] for a, b in spans]
                    if self.lead[entry]:
                        compared[case] = self._leaks.length(item, found)
                    else:
                        wanted = self._words(item)[self.start[entry] : self.start[entry] + length]
                        compared[case] = length * (found == wanted)
                lengths[k] = compared[case]
                good[k] = lengths[k] > 0
            here = here[good[here]]
            starts[here] = folded.starts[begin[places[here]]]
            ends[here] = folded.ends[end[places[here] + lengths[here] - 1] - 1]
        return Hits(*(column[good] for column in (owner, entries, places, lengths, starts, ends)))


def _hash_runs(hashes: np.ndarray, places: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return for each i the hash that `run_hashes` gives the run of `lengths[i]` words at word `places[i]`."""
    out = np.zeros(len(places), dtype=np.uint64)
    for length in np.unique(lengths).tolist():
        which = np.flatnonzero(lengths == length)
        rows = hashes[places[which, None] + np.arange(length)]
        # with the rows concatenated, every `length`-th run is one of the rows
        out[which] = run_hashes(rows.ravel(), length)[::length]
    return out
