"""Tokens beside their rivals: windows and batches beside a raw memmap read as nanoGPT does, tokenising beside tiktoken.

All numbers are of processor time, so that other programs disturb them little.
"""

from __future__ import annotations

import itertools
import time
from bisect import bisect_right, insort
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from data_lake.tables import schemas
from data_lake.tables.documents import doc_id, shard_path, write_parquet
from data_lake.tokens.loader import TokenDataset
from data_lake.tokens.packing import PackedDataset, count_rows
from data_lake.tokens.shards import TokenShardWriter
from model.batches import Batch
from model.tokenizer import PATTERNS, Tokenizer, specials_after
from tasks.corpus.tokenize.encode import EncodeJob, encode_shard
from tasks.stage.workers import map_shards
from tests.benchmarks.board import record

N_TOKENS, SEQ_LEN, BATCH = 16_000_000, 1024, 16
SHARDS, SHARD_BYTES = 4, 6_000_000


def seconds(function: Callable[[], object], times: int = 1) -> float:
    """Processor time of some calls."""
    started = time.process_time()
    for _ in range(times):
        function()
    return time.process_time() - started


def side_by_side(*functions: Callable[[], object], times: int = 1, rounds: int = 9) -> list[float]:
    """Calls of each function per second of processor time: the best of some rounds, in which they take turns.

    So other programs, which share the caches, slow all of them alike. The first calls, which load and compile, are not
    counted.
    """
    seen = [[seconds(function, times) for function in functions] for _ in range(rounds + 1)]
    return [times / min(column) for column in zip(*seen[1:], strict=True)]


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> tuple[TokenDataset, Path]:
    """The same tokens as shards and as the flat file that nanoGPT reads."""
    folder = tmp_path_factory.mktemp("tokens")
    ids = np.random.default_rng(0).integers(0, 50_000, N_TOKENS).astype(np.uint16)
    ids.tofile(folder / "train.bin")
    for number, part in enumerate(np.split(ids, 4)):
        with TokenShardWriter(
            folder / "train" / f"part-{number:05d}.parquet",
            split="train", seq_len=SEQ_LEN, vocab_size=50_304, tokenizer_sha256="ab", bos=50_000, pad=50_001,
        ) as writer:  # fmt: skip
            writer.append(part)
    return TokenDataset(folder, "train"), folder / "train.bin"


@pytest.mark.benchmark
def test_windows_and_batches_beside_a_raw_memmap(tokens: tuple[TokenDataset, Path]) -> None:
    data, path = tokens
    flat = np.memmap(path, dtype=np.uint16, mode="r")
    places = iter(np.tile(np.random.default_rng(1).integers(0, len(data), 100_000), 10).tolist())

    def from_memmap() -> np.ndarray:
        at = next(places) * SEQ_LEN
        return flat[at : at + SEQ_LEN + 1].astype(np.int64)

    def from_shards() -> np.ndarray:
        return data.window(next(places)).astype(np.int64)

    ours, rival = side_by_side(from_shards, from_memmap, times=20_000)
    ratio = record("tokens: random windows", ours, {"raw memmap": rival}, unit="windows/s")
    assert ratio is not None
    assert ratio > 1

    def nanogpt() -> tuple[torch.Tensor, torch.Tensor]:
        """Its get_batch, which opens the file each time so that the mapping does not grow."""
        again = np.memmap(path, dtype=np.uint16, mode="r")
        starts = torch.randint(len(again) - SEQ_LEN, (BATCH,))
        x = torch.stack([torch.from_numpy(again[i : i + SEQ_LEN].astype(np.int64)) for i in starts])
        y = torch.stack([torch.from_numpy(again[i + 1 : i + 1 + SEQ_LEN].astype(np.int64)) for i in starts])
        return x, y

    lengths = np.random.default_rng(2).lognormal(6, 1.2, 40_000).astype(np.int64) + 1
    lengths = lengths[np.cumsum(lengths) < N_TOKENS]
    packed = PackedDataset(data, np.cumsum(lengths) - lengths, lengths, end=50_002)
    steps = itertools.count()
    speeds = side_by_side(
        nanogpt,
        lambda: Batch.of_windows(data.batch(data.indices(next(steps), BATCH, 5))),
        lambda: Batch.of_packed(packed.batch(packed.indices(next(steps), BATCH, 5))),
        times=200,
    )
    rival, joined, whole = (speed * BATCH * SEQ_LEN / 1e6 for speed in speeds)
    ratio = record("tokens: batches", joined, {"nanoGPT": rival}, unit="million tokens/s")
    assert ratio is not None
    assert ratio > 1
    record(
        "tokens: batches of packed documents", whole, {"nanoGPT, which cuts documents": rival}, unit="million tokens/s"
    )


@pytest.mark.benchmark
def test_packing_beside_what_nanochat_crops() -> None:
    """Lengths as on the web. nanochat's own note says 34.6 % of the tokens at 2,048 (dataloader.py, best-fit crop)."""
    lengths = np.random.default_rng(0).lognormal(6, 1.2, 1_000_000).astype(np.int64) + 1
    (speed,) = side_by_side(lambda: count_rows(lengths, 2048), rounds=3)
    record("packing", speed * len(lengths) / 1e6, unit="million documents/s")
    padding = 1 - lengths.sum() / (count_rows(lengths, 2048) * 2048)
    kept = 1 - nanochat_crops(lengths[:100_000].tolist(), 2048)
    record("packing: positions with a token that is kept", 1 - padding, {"nanochat": kept}, unit="share of tokens")
    assert padding < 0.001


def nanochat_crops(lengths: list[int], row: int, buffer: int = 1000) -> float:
    """The share of tokens that its loader drops: the longest document that fits, else the shortest, cropped."""
    waiting, room = sorted(lengths[:buffer]), row + 1  # a row holds one token more, for the targets
    read = kept = 0
    for following in lengths[buffer:]:
        taken = waiting.pop(max(bisect_right(waiting, room) - 1, 0))
        read, kept = read + taken, kept + min(taken, room)
        room = room - taken if taken < room else row + 1
        insort(waiting, following)
    return 1 - kept / read


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[str]]:
    """Novels in pieces of a page's length, as shards of a corpus; a tokenizer learned from them; the texts."""
    import rustbpe

    from tests.conftest import SHARED

    if not SHARED.is_dir():
        pytest.skip(f"The shared test data is not at {SHARED}.")
    folder = tmp_path_factory.mktemp("corpus")
    texts = list(pages(SHARED / "07_text" / "computationalstylistics__100_english_novels"))
    rows = [
        {"doc_id": doc_id(payload=text), "source": "novels", "text": text, "n_bytes": len(text.encode()),
         "split": "train"}
        for text in texts
    ]  # fmt: skip
    per_shard = -(-len(rows) // SHARDS)
    for number in range(SHARDS):
        part = rows[number * per_shard : (number + 1) * per_shard]
        write_parquet(shard_path(folder / "documents", number), pa.Table.from_pylist(part, schema=schemas.CORPUS))
    trainer = rustbpe.Tokenizer()
    trainer.train_from_iterator(iter(texts[:2000]), 8192 - 64, pattern=PATTERNS["gpt4"])
    ranks = {bytes(token): rank for token, rank in trainer.get_mergeable_ranks()}
    Tokenizer(ranks, PATTERNS["gpt4"], specials_after(len(ranks), 64)).save(folder / "tokenizer")
    return folder / "documents", folder / "tokenizer", texts


def pages(folder: Path) -> Iterator[str]:
    """Texts of about 4,000 characters, SHARDS × SHARD_BYTES bytes in all."""
    left = SHARDS * SHARD_BYTES
    for path in sorted(folder.rglob("*.txt")):
        text = path.read_text("utf-8", errors="replace")
        for start in range(0, len(text), 4000):
            if left <= 0:
                return
            yield text[start : start + 4000]
            left -= 4000


@pytest.mark.benchmark
@pytest.mark.shared
def test_tokenising_beside_a_bare_loop_of_tiktoken(documents: tuple[Path, Path, list[str]], tmp_path: Path) -> None:
    corpus, vocabulary, texts = documents
    encoding = tiktoken_of(Tokenizer.load(vocabulary))
    n_bytes = sum(len(text.encode()) for text in texts)

    def bare() -> None:
        for text in texts:
            encoding.encode_ordinary(text)

    def ours() -> None:
        for _ in map_shards(encode_shard, jobs(corpus, vocabulary, tmp_path), workers=1):
            pass

    mine, theirs = (speed * n_bytes / 1e6 for speed in side_by_side(ours, bare, rounds=5))
    ratio = record("tokenising, from Parquet to shards", mine, {"tiktoken, a bare loop": theirs}, unit="MB/s per core")
    assert ratio is not None
    assert ratio >= 0.85


@pytest.mark.benchmark
@pytest.mark.shared
def test_tokenising_is_linear_in_cores(documents: tuple[Path, Path, list[str]], tmp_path: Path) -> None:
    """The processor time of a shard while another process encodes as well, beside that of a shard encoded alone.

    Two virtual cores may be one physical core, whose halves slow each other: a bare loop says how much they do.
    """
    corpus, vocabulary, _ = documents

    def scaling(encode: Callable[[EncodeJob], float]) -> float:
        def spent(workers: int) -> float:
            work = jobs(corpus, vocabulary, tmp_path / encode.__name__ / str(workers))
            return min(spent for _, spent in map_shards(encode, work, workers=workers))

        spent(1)  # loads and compiles
        return spent(1) / spent(2)

    ours, bare = scaling(encode_timed), scaling(bare_timed)
    ratio = record(
        "tokenising, each of two processes beside one alone", ours, {"tiktoken, a bare loop": bare}, unit="× its speed"
    )
    assert ratio is not None
    assert ratio > 0.85


def bare_timed(job: EncodeJob) -> float:
    """Encode the texts of a shard in a bare loop; return its processor time."""
    encoding = tiktoken_of(Tokenizer.load(job.tokenizer))
    texts = pq.read_table(shard_path(job.documents, job.number), columns=["text"])["text"].to_pylist()

    def loop() -> None:
        for text in texts:
            encoding.encode_ordinary(text)

    return seconds(loop)


def encode_timed(job: EncodeJob) -> float:
    """Processor time of a shard."""
    return seconds(lambda: encode_shard(job))


def jobs(documents: Path, vocabulary: Path, folder: Path) -> list[EncodeJob]:
    return [
        EncodeJob(documents, vocabulary, folder / "tokens", folder / "index", number, SEQ_LEN)
        for number in range(SHARDS)
    ]


def tiktoken_of(tokenizer: Tokenizer) -> object:
    """tiktoken's own encoding of a tokenizer."""
    import tiktoken

    return tiktoken.Encoding(
        name="benchmark", pat_str=tokenizer.pattern, mergeable_ranks=tokenizer.ranks, special_tokens=tokenizer.specials
    )
