"""tasks/corpus/splits.py: the documents of a split in the corpus's order, and a corpus whose splits do not add up."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import ValidationError

from data_lake.store.lake import Artifact
from data_lake.tables.documents import doc_id, split_of
from tasks.corpus.splits import SplitConfig, count_splits, documents_of

HALVES = SplitConfig(val=0.3, test=0.3)


def test_the_documents_of_a_split_come_in_the_corpuss_order(given_documents: Callable[..., Artifact]) -> None:
    corpus = given_documents([f"text {number}" for number in range(40)], shards=3, split=HALVES)
    place = {split: [] for split in ("train", "val", "test")}  # type: dict[str, list[str]]
    for number in range(40):
        place[split_of(doc_id(url=f"http://example.org/{number}"), HALVES.val, HALVES.test)].append(f"text {number}")
    for split, texts in place.items():
        assert [document.text for document in documents_of(corpus.path, {split})] == texts
        assert {document.split for document in documents_of(corpus.path, {split})} == {split}
    both = [document.text for document in documents_of(corpus.path, {"train", "test"})]
    assert both == sorted([*place["train"], *place["test"]], key=lambda text: int(text[5:]))
    assert list(documents_of(corpus.path, ())) == []
    assert count_splits(corpus.path) == {split: len(texts) for split, texts in place.items()}


def test_something_must_be_left_to_train_on() -> None:
    with pytest.raises(ValidationError, match="hold out every document"):
        SplitConfig(val=0.5, test=0.5)
