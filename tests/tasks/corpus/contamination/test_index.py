"""corpus/contamination/index.py: every n-gram that stands in a text is found at its place, and nothing else is."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_lake.text.folding import fold
from data_lake.text.units import run_hashes, shingle_hashes, word_hashes, words
from tasks.corpus.benchmarks.formats import read_mmlu
from tasks.corpus.benchmarks.item import Item, mmlu_texts
from tasks.corpus.contamination.index import HashTable, NgramIndex, Words

CHINESE = "水车转动，河水流过老石屋，磨坊主人在门口等着客人到来。"
WORD = st.sampled_from(["mill", "Rad", "groß", "水", "ด", "3.14", "don't", "e\u0301", "x_1", "ﬁ", "İ"])
TEXT = st.lists(WORD, max_size=30).map(" ".join)


def naive(items: list[Item], texts: list[str], n: int, shortest: int) -> set[tuple[int, int, int, int]]:
    """(text, item, first word of the n-gram in the item, in the text) by comparing all with all."""
    found = set()
    for number, item in enumerate(items):
        own = words(fold(item.text))
        if len(own) < shortest:
            continue
        length = min(n, len(own))
        for t, text in enumerate(texts):
            other = words(fold(text))
            for start in range(len(own) - length + 1):
                for place in range(len(other) - length + 1):
                    if own[start : start + length] == other[place : place + length]:
                        found.add((t, number, start, place))
    return found


@settings(max_examples=60, deadline=None)
@given(items=st.lists(TEXT, max_size=6), texts=st.lists(TEXT, max_size=5), n=st.integers(2, 9), least=st.integers(1, 3))
@example(items=["mill"], texts=["", "mill"], n=5, least=1)
def test_it_finds_what_comparing_all_words_finds(items: list[str], texts: list[str], n: int, least: int) -> None:
    given_items = [Item("b", str(number), text) for number, text in enumerate(items)]
    index = NgramIndex(given_items, n, least)
    hits = index.find(Words.of(texts))
    columns = index.find(Words.of_column(pa.array(texts, pa.large_string())))
    assert all(np.array_equal(getattr(hits, name), getattr(columns, name)) for name in vars(hits))
    found = set(
        zip(
            hits.text.tolist(),
            index.item[hits.entry].tolist(),
            index.start[hits.entry].tolist(),
            hits.place.tolist(),
            strict=True,
        )
    )
    assert len(found) == len(hits)
    assert found == naive(given_items, texts, n, least)


@settings(max_examples=60, deadline=None)
@given(before=TEXT, item=st.lists(WORD, min_size=4, max_size=8).map(" ".join), after=TEXT)
def test_the_place_is_that_of_the_text_as_it_was(before: str, item: str, after: str) -> None:
    text = f"{before} {item.upper()}! {after}"
    index = NgramIndex([Item("b", "1", item)], 13, 1)
    hits = index.find(Words.of([text]))
    assert len(hits)
    for start, end in zip(hits.start.tolist(), hits.end.tolist(), strict=True):
        assert words(fold(text[start:end])) == words(fold(item))


def test_case_spacing_and_punctuation_do_not_hide_an_item() -> None:
    item = Item("b", "1", "The miller's wheel, which turned all day long, has stopped now.", "Why?")
    index = NgramIndex([item], 13, 3)
    hidden = "so THE MILLER'S\n wheel - which turned (all day long) has: stopped; now why not"
    hits = index.find(Words.of([hidden]))
    assert np.count_nonzero(~index.whole[hits.entry]) == 1
    assert len(index.find(Words.of([hidden.replace("stopped", "rested")]))) == 0


def test_chinese_is_found_by_its_characters() -> None:
    index = NgramIndex([Item("b", "1", CHINESE)], 13, 3)
    assert index.ngrams(0) == len(words(CHINESE)) - 12 > 1
    hits = index.find(Words.of([f"有一天，{CHINESE}后来下雨了。", "水车不转动，河水不流过老石屋。"]))
    assert set(hits.text.tolist()) == {0}
    assert len(hits) == index.ngrams(0)


def test_a_hash_alone_convicts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two texts of one hash, which nobody has found yet, are told apart by their words."""
    index = NgramIndex([Item("b", "1", "one two three four")], 4, 1)
    given_texts = Words.of(["five six seven eight"])
    forged = Words(Words.of(["one two three four"]).hashes, given_texts.offsets, given_texts.text)
    assert len(index.find(Words.of(["one two three four"]))) == 1
    assert len(index.find(forged)) == 0


@settings(max_examples=60, deadline=None)
@given(keys=st.lists(st.integers(0, 2**64 - 1), max_size=40), asked=st.lists(st.integers(0, 2**64 - 1), max_size=40))
def test_the_table_is_exact(keys: list[int], asked: list[int]) -> None:
    sorted_keys = np.unique(np.array(keys, dtype=np.uint64))
    hashes = np.array(asked + keys, dtype=np.uint64)
    places, numbers = HashTable(sorted_keys).find(hashes)
    assert places.tolist() == [i for i, value in enumerate(hashes.tolist()) if value in set(keys)]
    assert np.array_equal(sorted_keys[numbers], hashes[places])


@settings(max_examples=40, deadline=None)
@given(text=TEXT, n=st.integers(1, 40))
def test_runs_are_shingles(text: str, n: int) -> None:
    hashes, offsets = word_hashes([text])
    expected = shingle_hashes(hashes, offsets, n)[0] if len(hashes) >= n else np.empty(0, np.uint64)
    assert np.array_equal(run_hashes(hashes, n), expected)


@pytest.mark.shared
def test_real_items_planted_in_real_pages_are_all_found_and_nothing_else_is(shared_data: Path) -> None:
    """All MMLU items of the shared folder and 2,000 of HellaSwag's, each in the middle of a page."""
    folder = shared_data / "03_mmlu" / "stanford-cs336__assignment5-alignment" / "data" / "mmlu"
    items = mmlu_texts(read_mmlu(folder)[0])
    (rows,) = (shared_data / "02_hellaswag" / "rows").glob("*.txt")
    lines = rows.read_text().split("\n")
    for number in range(len(lines) // 6):
        context, label, *endings = lines[6 * number : 6 * number + 6]
        items.append(Item("hellaswag", str(number), context.partition(": ")[2], endings[int(label)]))
    pages = [
        json.loads(line)["articleBody"]
        for path in sorted((shared_data / "08_html_extraction").rglob("ground-truth.json"))[:1]
        for line in [json.dumps(value) for value in json.loads(path.read_text()).values()]
    ]
    index = NgramIndex(items, 13, 3)
    assert not index.too_short.any()
    assert len(index.find(Words.of(pages))) == 0, "an item in a page that nobody planted"

    dice = random.Random(1)
    planted = []
    for item in items:
        page = dice.choice(pages)
        place = dice.randrange(len(page))
        planted.append(f"{page[:place]} {item.text.upper()}\n{page[place:]}")
    hits = index.find(Words.of(planted))
    found = set(zip(hits.text.tolist(), index.item[hits.entry].tolist(), strict=True))
    assert all((number, number) in found for number in range(len(items)))
    texts = [" ".join(words(fold(item.text))) for item in items]
    for number, other in found:
        shared_words = {tuple(w) for w in _grams(texts[other])} & {tuple(w) for w in _grams(texts[number])}
        assert number == other or shared_words or texts[other] in texts[number]


def _grams(text: str) -> list[list[str]]:
    split = text.split(" ")
    return [split[i : i + 13] for i in range(len(split) - 12)]


def test_a_page_that_says_one_phrase_for_ever_costs_no_more_than_its_length() -> None:
    phrase = "the mill turns and the river flows and the miller sleeps until noon every day"
    index = NgramIndex([Item("b", "1", phrase)], 13, 3)
    hits = index.find(Words.of([f"{phrase} | " * 20_000]))
    assert len(hits) == 20_000 * index.ngrams(0)
