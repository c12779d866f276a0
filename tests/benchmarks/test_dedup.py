"""Near-duplicates on one core: documents a second from text to decision, and how right they are, beside three rivals.

The truth is the exact Jaccard similarity of all pairs. datasketch and rensa take all documents with the same 20 bands
of 6; shingling in Python, which both need, counts. datatrove's four stages run as FineWeb sets them (14 buckets of 8),
on fewer documents, with words split at spaces: the tokenizer that it asks for takes longer than all the rest.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from data_lake.tables.documents import shards
from data_lake.tables.runs import Runs
from tasks.corpus.dedup import DedupConfig
from tasks.corpus.dedup.stage import decide
from tasks.stage import local_output
from tests.benchmarks import edited_texts, many_signatures
from tests.benchmarks.board import record

COUNT = 27_000
DATATROVE_COUNT = 2_000
WORD = re.compile(r"\w+")
Pairs = set[tuple[int, int]]


@pytest.fixture(scope="module")
def documents() -> list[str]:
    """The corpus."""
    return edited_texts.texts(COUNT)


@pytest.fixture(scope="module")
def truth(documents: list[str]) -> dict[tuple[int, int], float]:
    """Its pairs of at least .8."""
    return edited_texts.true_pairs(documents, 5, 0.8)


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds of a call, and its result."""
    begun = time.process_time()
    result = work()
    return time.process_time() - begun, result


def quality(found: Pairs, truth: dict[tuple[int, int], float]) -> tuple[float, float]:
    """Precision and recall of pairs."""
    right = len(found & truth.keys())
    return right / max(1, len(found)), right / len(truth)


@pytest.mark.benchmark
def test_from_text_to_decision(
    documents: list[str], truth: dict[tuple[int, int], float], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rensa", reason="The rivals are in the extra textmill[bench].")
    import datasketch
    import rensa

    edited_texts.write_documents(tmp_path / "documents", documents)
    paths = shards(tmp_path / "documents")
    config = DedupConfig(workers=1)
    taken = []
    for number in range(4):  # the first one compiles
        out = local_output(tmp_path / f"run-{number}")
        taken.append(seconds(lambda out=out: decide(config, out, paths))[0])
    _, decided = decide(DedupConfig(workers=1, url=False, exact=False), local_output(tmp_path / "pairs"), paths)
    later, before, shared, union = Runs(decided.compared, 4).read()
    alike = shared / union >= 0.8
    ours: Pairs = {(int(a), int(b)) for a, b in zip(before[alike], later[alike], strict=True)}
    speed = COUNT / statistics.median(taken[1:])

    rivals = {
        "datasketch": seconds(lambda: with_datasketch(datasketch, documents)),
        "rensa": seconds(lambda: with_rensa(rensa, documents)),
    }
    speeds = {name: COUNT / used for name, (used, _) in rivals.items()}
    precision, recall = quality(ours, truth)
    theirs = {name: quality(found, truth) for name, (_, found) in rivals.items()}
    if (datatrove := with_datatrove(documents[:DATATROVE_COUNT], tmp_path / "datatrove")) is not None:
        speeds["datatrove"] = DATATROVE_COUNT / datatrove
    record("dedup: text to verified decision, one core", speed, speeds, unit="documents/s")
    record("dedup: precision of pairs", precision, {name: p for name, (p, _) in theirs.items()}, unit="share")
    record("dedup: recall of pairs", recall, {name: r for name, (_, r) in theirs.items()}, unit="share")
    with capsys.disabled():
        print(f"\n{'':12}{'documents/s':>12}{'precision':>11}{'recall':>8}")
        for name, value, (p, r) in [("textmill", speed, (precision, recall))] + [
            (name, value, theirs.get(name, (float("nan"),) * 2)) for name, value in speeds.items()
        ]:
            print(f"{name:12}{value:12,.0f}{p:11.4f}{r:8.4f}")
    assert precision >= 0.999
    assert recall >= 0.99


@pytest.mark.benchmark
def test_ten_million_signatures_take_no_more_memory_than_a_hundred_thousand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The budget is many_signatures.MEMORY_MEGABYTES; interpreter, libraries and one shard of 100,000 come on top."""
    found = {}
    for count in (100_000, 10_000_000):
        script = [sys.executable, "-m", many_signatures.__name__, str(tmp_path / str(count))]
        subprocess.run([*script, "make", str(count)], check=True)
        done = subprocess.run([*script, "decide", str(count)], check=True, capture_output=True, text=True)
        found[count] = json.loads(done.stdout)
        copies = count // 10
        assert copies * 0.999 <= found[count]["removed"] <= copies
    small, large = found.values()
    record(
        "dedup: peak memory of 10 M signatures, of 100 k",
        large["megabytes"] / small["megabytes"],
        unit="times as much",
        more_is_better=False,
    )
    record("dedup: signature to decision, 10 M", large["documents"] / large["seconds"], unit="documents/s")
    with capsys.disabled():
        for each in found.values():
            print(f"\n{each['documents']:,}: {each['megabytes']:,.0f} MB, {each['seconds']:,.0f} s")
    assert large["megabytes"] <= 1.1 * small["megabytes"]


def shingles(text: str) -> set[str]:
    """Runs of five words as strings: what datasketch and rensa are given."""
    words = WORD.findall(text.lower())
    return {" ".join(words[i : i + 5]) for i in range(max(1, len(words) - 4))}


def with_datasketch(datasketch: Any, documents: list[str]) -> Pairs:
    """Nominated pairs by MinHash.bulk of 32-bit hashes and MinHashLSH."""
    import xxhash

    sets = ([xxhash.xxh32_intdigest(gram.encode()) for gram in shingles(text)] for text in documents)
    index = datasketch.MinHashLSH(num_perm=120, params=(20, 6))
    found: Pairs = set()
    for number, minhash in enumerate(datasketch.MinHash.generator(sets, num_perm=120, seed=1, hashfunc=int)):
        found |= {(other, number) for other in index.query(minhash)}
        index.insert(number, minhash)
    return found


def with_rensa(rensa: Any, documents: list[str]) -> Pairs:
    """Nominated pairs by RMinHash and its own index."""
    hashed = rensa.RMinHash.from_token_sets([list(shingles(text)) for text in documents], 120, 1)
    index = rensa.RMinHashLSH(0.8, 120, 20)
    index.insert_many(hashed)
    return {(other, i) for i, others in enumerate(index.query_all(hashed)) for other in others if other < i}


class Spaces:
    """Words by spaces, in place of datatrove's tokenizer for English."""

    @staticmethod
    def word_tokenize(text: str) -> list[str]:
        return text.split()


def with_datatrove(documents: list[str], folder: Path) -> float | None:
    """Processor seconds of datatrove's four stages; None where its deduplication cannot be imported."""
    try:
        from datatrove.data import Document
        from datatrove.pipeline.dedup import minhash
    except ImportError as error:
        print(f"datatrove is left out: {error}.")
        return None
    from loguru import logger

    logger.disable("datatrove")
    config = minhash.MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)
    signatures, buckets, removed = (str(folder / name) for name in ("signatures", "buckets", "removed"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minhash, "load_word_tokenizer", lambda _language: Spaces)
        sign = minhash.MinhashDedupSignature(signatures, config)
    hash_bytes = sign._hash_func
    sign._hash_func = lambda gram: hash_bytes(gram.encode())  # xxhash takes bytes only since 4.0

    def read() -> Iterator[Document]:
        return (Document(text=text, id=str(number)) for number, text in enumerate(documents))

    def work() -> int:
        sign.run(read(), 0, 1)
        for bucket in range(14):
            minhash.MinhashDedupBuckets(signatures, buckets, config=config).run(None, bucket, 14)
        minhash.MinhashDedupCluster(buckets, removed, config=config).run(None, 0, 1)
        return sum(1 for _ in minhash.MinhashDedupFilter(removed).run(read(), 0, 1))

    taken, left = seconds(work)
    assert 0.8 * len(documents) < left < len(documents)
    return taken
