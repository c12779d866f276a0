"""Stored signatures answer queries in datasketch's index."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import datasketch
import pytest

from data_lake.store.lake import Artifact, Lake
from tasks.corpus.dedup import DedupConfig, dedup
from tasks.corpus.dedup.lookup import minhash_of, minhashes


@pytest.mark.parity
def test_datasketch_finds_the_documents_that_are_kept(lake: Lake, given_rows: Callable[..., Artifact]) -> None:
    generator = random.Random(4)
    texts = [" ".join(f"w{generator.randrange(500)}" for _ in range(200)) for _ in range(40)]
    rows = [{"text": text, "doc_id": f"{i:016x}"} for i, text in enumerate([*texts, texts[7] + " more"])]
    made = dedup.build(lake, DedupConfig(), {"documents": given_rows(rows, shards=3)}).artifact
    index = datasketch.MinHashLSH(num_perm=120, params=(20, 6))
    stored = dict(minhashes(made.path))
    assert len(stored) == 40
    for doc_id, minhash in stored.items():
        index.insert(doc_id, minhash)
    for i in (0, 20, 39):
        assert index.query(minhash_of(texts[i].upper(), made.path)) == [f"{i:016x}"]
    assert index.query(minhash_of(texts[7], made.path)) == [f"{40:016x}"]  # 7 was removed for its longer copy
    assert minhash_of(texts[1], made.path).jaccard(stored[f"{1:016x}"]) == 1
    assert index.query(minhash_of("quite another text", made.path)) == []
    assert minhash_of("…", made.path).is_empty()


def test_an_artifact_of_an_older_textmill_is_read_too(
    lake: Lake, given_rows: Callable[..., Artifact], tmp_path: Path
) -> None:
    """It has the file of removed documents under another name."""
    rows = [{"text": "one text", "doc_id": f"{i:016x}"} for i in range(3)] + [{"text": "quite another text"}]
    made = dedup.build(lake, DedupConfig(), {"documents": given_rows(rows)}).artifact
    older = Path(shutil.copytree(made.path, tmp_path / "older"))
    (older / "removed.bits").rename(older / "gone.bits")
    names = [doc_id for doc_id, _ in minhashes(made.path)]
    assert [doc_id for doc_id, _ in minhashes(older)] == names
    assert len(names) == 2


def test_what_is_no_such_artifact_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="it is not an artifact of the dedup stage"):
        minhash_of("text", tmp_path)
