"""A new crawl against earlier artifacts: the same decisions as if all had been there at once, without their text."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from data_lake.store.lake import Artifact, Lake
from data_lake.tables.documents import read_documents
from tasks.corpus.dedup import DedupConfig, dedup
from tasks.stage import PermanentError

Given = Callable[..., Artifact]


def pages(seed: int, count: int, month: int) -> list[dict[str, Any]]:
    """Members of 40 families: copies with a few words changed; a few exact copies; some with nothing alike."""
    generator = random.Random(seed)
    rows = []
    for number in range(count):
        family = random.Random(generator.randrange(40))
        words = [f"w{family.randrange(2000)}" for _ in range(120)]
        for _ in range(generator.choice([0, 0, 1, 2, 8])):
            words[generator.randrange(120)] = f"edit{generator.randrange(10**6)}"
        date = f"2026-{month:02d}-01T00:{number // 60:02d}:{number % 60:02d}+00:00"
        url = f"http://example.org/{seed}/{number}"
        rows.append({"text": " ".join(words), "url": url, "fetched_at": date})
    return rows


def urls(artifact: Artifact) -> list[str]:
    return [row["url"] for batch in read_documents(artifact.path, ["url"]) for row in batch.to_pylist()]


def test_the_same_as_one_run_over_all(lake: Lake, given_rows: Given) -> None:
    first, second, third = pages(1, 150, 1), pages(2, 120, 2), pages(3, 70, 3)
    config: dict[str, Any] = {"keep": "oldest"}  # what was kept of the earlier ones is kept
    joint = dedup.build(lake, DedupConfig(**config), {"documents": given_rows(first + second + third)}).artifact
    one = dedup.build(lake, DedupConfig(**config), {"documents": given_rows(first, shards=3)}).artifact
    two = dedup.build(lake, DedupConfig(**config), {"documents": given_rows(second), "against[0]": one}).artifact
    for path in (one.path, two.path):  # their text cannot be read
        for shard in (path / "documents").iterdir():
            shard.rename(shard.with_suffix(".away"))
    made = given_rows(third, shards=2)
    for path in (one.path, two.path):
        for shard in (path / "documents").iterdir():
            shard.rename(shard.with_suffix(".parquet"))
    three = dedup.build(lake, DedupConfig(**config), {"documents": made, "against[0]": one, "against[1]": two}).artifact
    assert sorted([*urls(one), *urls(two), *urls(three)]) == sorted(urls(joint))
    assert 0 < three.counts["documents"] < 40
    assert dedup.violations(three) == []


def test_what_is_known_is_removed_even_if_it_is_longer(lake: Lake, given_rows: Given) -> None:
    words = " ".join(f"w{k}" for k in range(100))
    one = dedup.build(lake, DedupConfig(), {"documents": given_rows([{"text": words}])}).artifact
    clean = given_rows(
        [{"text": f"{words} and more", "url": "http://example.org/n"}, {"text": f" {words}", "url": None}]
    )
    two = dedup.build(lake, DedupConfig(), {"documents": clean, "against[0]": one}).artifact
    assert urls(two) == []
    assert (two.counts["near_duplicates"], two.counts["exact_duplicates"]) == (1, 1)
    assert dedup.violations(two) == []


def test_a_page_that_was_fetched_again_is_compared_by_its_text(lake: Lake, given_rows: Given) -> None:
    """The earlier corpus keeps its version, so of an address both may be kept; the URL level is within one run."""
    one = dedup.build(lake, DedupConfig(), {"documents": given_rows([{"text": "the old text of this page"}])}).artifact
    clean = given_rows([{"text": "what it says today is different"}])
    two = dedup.build(lake, DedupConfig(), {"documents": clean, "against[0]": one}).artifact
    assert two.counts["documents"] == 1


def test_what_cannot_be_compared_is_refused(lake: Lake, given_rows: Given) -> None:
    clean = given_rows([{"text": "some text"}])
    without = dedup.build(lake, DedupConfig(store_shingles=False), {"documents": clean}).artifact
    with pytest.raises(PermanentError, match=r"has no shingle sets: build it with dedup\.store_shingles: true"):
        dedup.build(lake, DedupConfig(), {"documents": clean, "against[0]": without})
    other = dedup.build(lake, DedupConfig(shingle_words=3), {"documents": clean}).artifact
    with pytest.raises(PermanentError, match="use the same shingle_words, seed and bands times rows"):
        dedup.build(lake, DedupConfig(), {"documents": clean, "against[0]": other})


def test_empty_shards_change_nothing(lake: Lake, given_rows: Given) -> None:
    """More shards than documents: the last ones are empty, here and in the earlier artifact."""
    rows = pages(5, 5, 1)
    config = DedupConfig(keep="oldest", lines={"enabled": True})
    one = dedup.build(lake, config, {"documents": given_rows([*rows, rows[0] | {"url": None}], shards=9)}).artifact
    assert one.counts["documents"] == len(urls(one)) <= 5
    new = given_rows([*rows, {"text": "new"}], shards=8)
    two = dedup.build(lake, config, {"documents": new, "against[0]": one}).artifact
    assert len(urls(two)) == 1
    assert dedup.violations(two) == []
