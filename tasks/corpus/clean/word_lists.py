"""A user's lists of words: found as whole words, in any script and case, and replaced on request."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from data_lake.text.folding import fold, fold_with_places
from data_lake.text.units import shingle_hashes, word_hashes, word_spans


class WordList:
    """Words and phrases to look for.

    A phrase is a sequence of words (data_lake.text.units), whatever separates them; so an entry in a script without
    spaces is a sequence of characters, and `ass` is not found in `class`. A search takes one pass over the text for
    each length of phrase, however many entries there are.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self._entries: dict[int, dict[int, str]] = {}  # words in the phrase -> hash of the phrase -> the phrase
        for entry in sorted(set(entries)):
            hashes, offsets = word_hashes([fold(entry)])
            if n := len(hashes):
                self._entries.setdefault(n, {})[int(shingle_hashes(hashes, offsets, n)[0][0])] = entry
        self._hashes = {n: np.array(sorted(found), dtype=np.uint64) for n, found in self._entries.items()}

    def __bool__(self) -> bool:
        return bool(self._entries)

    def find(self, text: str) -> tuple[int, str]:
        """Return how often entries occur in the text, and the entry that occurs first ("" if none does)."""
        if not self._entries:
            return 0, ""
        hashes, offsets = word_hashes([fold(text)])
        count, first, name = 0, len(hashes), ""
        for n, (places, runs) in self._runs(hashes, offsets).items():
            count += len(places)
            if len(places) and places[0] < first:
                first, name = int(places[0]), self._entries[n][int(runs[places[0]])]
        return count, name

    def replace(self, text: str, replacement: str) -> tuple[str, int]:
        """Return the text with occurrences replaced, and their number; if some overlap, the first, longest counts."""
        if not self.find(text)[0]:
            return text, 0
        folded = fold_with_places(text)
        begins, stops = word_spans(folded.text)
        starts, ends = folded.starts[begins], folded.ends[stops - 1]
        spans = sorted(
            (int(place), -n) for n, (places, _) in self._runs(*word_hashes([folded.text])).items() for place in places
        )
        out: list[str] = []
        position = next_word = number = 0
        for place, minus_n in spans:
            if place < next_word:
                continue
            next_word = place - minus_n
            out += [text[position : starts[place]], replacement]
            position = int(ends[next_word - 1])
            number += 1
        return "".join([*out, text[position:]]), number

    def _runs(self, hashes: np.ndarray, offsets: np.ndarray) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """Return, for each phrase length, where phrases begin, and the hashes of all word sequences of that length."""
        found = {}
        for n, wanted in self._hashes.items():
            runs = shingle_hashes(hashes, offsets, n)[0] if len(hashes) >= n else np.empty(0, np.uint64)
            found[n] = (np.flatnonzero(np.isin(runs, wanted)), runs)
        return found
