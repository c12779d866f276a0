"""The mix: windows of one source only, each once per epoch, in the shares and under the caps that were asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_lake.tables.documents import write_parquet
from data_lake.tokens.loader import TokenDataset
from data_lake.tokens.mix import (
    MixedDataset,
    MixError,
    Source,
    SourceStream,
    assign,
    documents_of_split,
    glob_regex,
    plan_mix,
    shares,
)
from data_lake.tokens.shards import TokenShardWriter, document_index_schema

SOURCES = ["wiki.example", "books/a.txt", "crawl.example"]


def store(folder: Path, lengths: list[int], owners: list[int]) -> Path:
    """A tokenize artifact in which every token of a document is 10 times its source plus 3, its first one BOS = 1."""
    rows, first = [], 0
    for number, (length, owner) in enumerate(zip(lengths, owners, strict=True)):
        rows.append(
            {
                "doc_id": f"{number}", "split": "train", "first_token": first, "n_tokens": length, "n_bytes": length,
                "url": f"http://{SOURCES[owner]}/{number}" if owner != 1 else None, "source": SOURCES[owner],
            }
        )  # fmt: skip
        first += length
    rows.append({**rows[0], "doc_id": "v", "split": "val", "first_token": 0, "n_tokens": 50})
    tokens = [np.array([1] + [10 * o + 3] * (n - 1), np.uint16) for n, o in zip(lengths, owners, strict=True)]
    half = len(tokens) // 2
    for number, part in enumerate((tokens[:half], tokens[half:])):
        with TokenShardWriter(
            folder / "train" / f"part-{number:05d}.parquet",
            split="train", seq_len=16, vocab_size=500, tokenizer_sha256="ab", bos=1, pad=2,
        ) as writer:  # fmt: skip
            for ids in part:
                writer.append(ids)
    write_parquet(folder / "documents.parquet", pa.Table.from_pylist(rows, schema=document_index_schema()))
    return folder


ASKED = [
    Source("wiki", ("*.example",), 3.0),
    Source("books", ("books/*",), 1.0),
]


def corpus(folder: Path, seed: int = 0, documents: int = 300) -> Path:
    dice = np.random.default_rng(seed)
    return store(folder, dice.integers(5, 120, documents).tolist(), dice.integers(0, 3, documents).tolist())


def test_windows_are_of_one_source_and_their_shares_exact(tmp_path: Path) -> None:
    path = corpus(tmp_path)
    sources = [Source("wiki", ("wiki*",), 5.0), Source("books", ("books/*",), 2.0), Source("rest", (), 1.0)]
    mixed = MixedDataset(path, sources, seq_len=16, draws=800, seed=7)
    seen = np.zeros(3, dtype=int)
    for step in range(100):
        for window in mixed.batch(step, 8):
            (value,) = set(window.tolist()) - {1}
            seen[(value - 3) // 10] += 1
        assert np.abs(seen - np.array([5, 2, 1]) / 8 * 8 * (step + 1)).max() < 1
    assert seen.tolist() == [500, 200, 100] == [row["windows"] for row in mixed.drawn(800)]
    assert sum(row["tokens"] for row in mixed.drawn(800)) == 800 * 16


def test_each_window_of_a_source_is_read_once_per_epoch(tmp_path: Path) -> None:
    mixed = MixedDataset(corpus(tmp_path), ASKED, seq_len=16, draws=5000)
    places = list(zip(*(part.tolist() for part in mixed.places(np.arange(5000))), strict=True))
    for number, share in enumerate(mixed.shares):
        windows = [window for source, window in places if source == number]
        for epoch in range(len(windows) // share.windows):
            one = windows[epoch * share.windows : (epoch + 1) * share.windows]
            assert sorted(one) == list(range(share.windows))
    again = mixed.places(np.arange(60, 100))
    assert list(zip(*(part.tolist() for part in again), strict=True)) == places[60:100]
    first, second = (
        [w for s, w in places if s == 1][: mixed.shares[1].windows],
        [w for s, w in places if s == 1][mixed.shares[1].windows : 2 * mixed.shares[1].windows],
    )
    assert first != second, "every epoch has an order of its own"


def test_a_step_needs_only_its_number(tmp_path: Path) -> None:
    path = corpus(tmp_path)
    whole = MixedDataset(path, ASKED, seq_len=16, draws=400)
    rows = np.concatenate([whole.batch(step, 4) for step in range(50)])
    resumed = MixedDataset(path, ASKED, seq_len=16, draws=400)
    assert np.array_equal(resumed.batch(37, 4), rows[148:152])
    assert np.array_equal(resumed.batch(5, 16), rows[80:96]), "steps of another size take the same sequence"


@pytest.mark.parametrize("end", [None, 4])
def test_the_ranks_together_read_the_batch_of_one_process(tmp_path: Path, end: int | None) -> None:
    mixed = MixedDataset(corpus(tmp_path), ASKED, seq_len=16, draws=600, end=end)
    for world_size in (1, 2, 3, 6):
        for step in (0, 3, 99):
            parts = [mixed.batch(step, 6, rank, world_size) for rank in range(world_size)]
            assert np.array_equal(np.concatenate(parts), mixed.batch(step, 6))


def test_packed_sources_have_their_share_of_the_tokens(tmp_path: Path) -> None:
    """Documents of 9 tokens leave rows of 16 almost half empty, those of 8 fill them; both get half of the tokens."""
    path = store(tmp_path, [9, 8] * 200, [0, 1] * 200)
    sources = [Source("nine", ("wiki*",), 1.0), Source("eight", ("books/*",), 1.0)]
    mixed = MixedDataset(path, sources, seq_len=16, draws=300, end=4)
    nine, eight = mixed.drawn(300)
    assert (nine["windows"], eight["windows"]) == (192, 108)
    assert (nine["tokens"], eight["tokens"]) == (192 * 9, 108 * 16)
    rows = np.concatenate([mixed.batch(step, 10) for step in range(30)])
    real = rows[:, 2] >= 0
    assert real.sum() == nine["tokens"] + eight["tokens"]
    for inputs, documents in rows[:, [0, 2]]:
        assert len(set(inputs[(documents >= 0) & (inputs != 1)].tolist())) == 1, "a row holds one source"
    short = mixed.drawn(7)
    assert sum(row["tokens"] for row in short) == real[:7].sum()
    assert [row["distinct_tokens"] for row in mixed.drawn(300)] == [192 * 9, 100 * 16]  # eight has 100 rows


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_stream_is_the_documents_one_after_the_other(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    lengths = data.draw(st.lists(st.integers(1, 60), min_size=1, max_size=20))
    chosen = data.draw(st.lists(st.booleans(), min_size=len(lengths), max_size=len(lengths)))
    seq_len = data.draw(st.integers(1, 40))
    path = store(tmp_path_factory.mktemp("tokens"), lengths, [0] * len(lengths))
    tokens = TokenDataset(path, "train", seq_len=seq_len)
    starts = np.cumsum([0, *lengths[:-1]])
    pick = np.flatnonzero(chosen)
    stream = SourceStream(tokens, starts[pick], np.array(lengths)[pick])
    joined = np.concatenate(
        [np.empty(0, np.uint16), *(tokens.tokens(int(starts[i]), int(starts[i]) + lengths[i]) for i in pick)]
    )
    assert len(stream) == max(0, (len(joined) - 1) // seq_len)
    for i in range(len(stream)):
        assert np.array_equal(stream.window(i), joined[i * seq_len : (i + 1) * seq_len + 1])
    with pytest.raises(IndexError):
        stream.window(len(stream))


# -- shares ------------------------------------------------------------------------------------------------------------


def weighted(*weights: float | None, caps: dict[int, float] | None = None) -> list[Source]:
    return [Source(str(i), ("x",), weight, (caps or {}).get(i)) for i, weight in enumerate(weights)]


def test_gpt3s_table() -> None:
    """Brown et al. 2020, table 2.2, from the weights of the example recipe; its own numbers are rounded."""
    from flows.recipe.load import load_recipe

    recipe = load_recipe("gpt3-mix")
    settings = recipe.pretrain
    draws = settings.training.steps * settings.training.batch_size
    assert draws * settings.model.max_seq_len == pytest.approx(300e9, rel=1e-5)
    tokens = [410 * 10**9, 19 * 10**9, 12 * 10**9, 55 * 10**9, 3 * 10**9, 0]
    found = shares(settings.mix.asked(), tokens, [1] * 6, seq_len=2048, draws=draws)
    assert [share.name for share in found] == ["common-crawl", "webtext2", "books1", "books2", "wikipedia", "rest"]
    for share, epochs in zip(found, (0.44, 2.9, 1.9, 0.43, 3.4), strict=False):
        assert share.epochs == pytest.approx(epochs, rel=0.2)
    assert not any(share.capped for share in found)
    assert sum(share.draws for share in found) == pytest.approx(draws)


def test_gpt3s_recipe_tells_its_own_files_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.recipe.load import load_recipe
    from tasks.corpus.crawl.sources import find_sources

    names = ["common-crawl/CC-MAIN-2025-08/1.warc.gz", "webtext2/1.jsonl.gz", "books1/1.txt", "books2/1.txt"]
    names += ["wikipedia/en/1.jsonl.gz"]
    for name in names:
        (tmp_path / "data" / name).parent.mkdir(parents=True)
        (tmp_path / "data" / name).touch()
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe("gpt3-mix")
    found = [file.name for file in find_sources(recipe.crawl, tmp_path / "work")]
    index = pa.table({"source": found, "url": pa.nulls(len(found), pa.string())})
    asked = recipe.pretrain.mix.asked()
    drawn = [asked[number].name for number in assign(index, asked).tolist()]
    assert dict(zip(found, drawn, strict=True)) == {name: name.split("/")[0] for name in names}


def test_temperature_makes_sources_alike() -> None:
    tokens = [8000, 1000]
    plain, warm, hot = (
        [round(s.share, 3) for s in shares(weighted(None, None), tokens, [1, 1], seq_len=1, draws=10, temperature=t)]
        for t in (1.0, 3.0, 1e9)
    )
    assert plain == [0.889, 0.111]
    assert warm == [0.667, 0.333]  # the cube roots of 8 and 1
    assert hot == [0.5, 0.5]


def test_what_a_cap_leaves_goes_to_the_others_by_their_weights() -> None:
    tokens = [101, 10_001, 10_001]  # 100, 10,000 and 10,000 windows of one token
    found = shares(weighted(50, 30, 20, caps={0: 2.0}), tokens, [1] * 3, seq_len=1, draws=1000)
    assert [round(s.draws) for s in found] == [200, 480, 320]  # 200 = two epochs; 800 in 30 : 20
    assert [s.capped for s in found] == [True, False, False]
    again = shares(weighted(50, 30, 20, caps={0: 2.0, 1: 0.04}), tokens, [1] * 3, seq_len=1, draws=1000)
    assert [round(s.draws) for s in again] == [200, 400, 400]  # the first cap puts the second source over its own
    assert [s.weight for s in again] == [0.5, 0.3, 0.2]


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.floats(0.01, 100), st.integers(2, 5000), st.none() | st.floats(0.1, 9)), min_size=1, max_size=7
    ),
    draws=st.integers(1, 20_000),
)
def test_shares_are_whole_within_caps_and_keep_proportions(
    rows: list[tuple[float, int, float | None]], draws: int
) -> None:
    sources = [Source(str(i), ("x",), weight, cap) for i, (weight, _, cap) in enumerate(rows)]
    tokens = [count for _, count, _ in rows]
    room = sum(np.inf if cap is None else np.floor(cap * (count - 1)) for _, count, cap in rows)
    if room < draws:
        with pytest.raises(MixError, match="within their max_epochs"):
            shares(sources, tokens, [1] * len(rows), seq_len=1, draws=draws)
        return
    found = shares(sources, tokens, [1] * len(rows), seq_len=1, draws=draws)
    assert sum(share.draws for share in found) == pytest.approx(draws)
    for share, (_, _, cap) in zip(found, rows, strict=True):
        assert cap is None or share.epochs <= cap + 1e-9
    free = [(share.draws, weight) for share, (weight, _, _) in zip(found, rows, strict=True) if not share.capped]
    for got, weight in free:
        assert got / weight == pytest.approx(free[0][0] / free[0][1])


def test_capped_sources_are_read_no_further_than_that(tmp_path: Path) -> None:
    sources = [Source("wiki", ("wiki*",), 9.0, 1.0), Source("rest", (), 1.0)]
    mixed = MixedDataset(corpus(tmp_path), sources, seq_len=16, draws=2000)
    assert mixed.shares[0].capped
    assert mixed.drawn(2000)[0]["windows"] == mixed.shares[0].windows
    assert mixed.drawn(2000)[0]["epochs"] == 1.0


# -- which documents ---------------------------------------------------------------------------------------------------


def test_the_first_source_that_matches_has_the_document(tmp_path: Path) -> None:
    index = pa.table({"source": ["a/b.txt", "host.example", "x"], "url": [None, "http://host.example/blog/1", None]})
    assert assign(index, [Source("one", ("*/blog/*", "a/?.txt")), Source("two", ("*.example", "a/*"))]).tolist() == [
        0, 0, -1,
    ]  # fmt: skip
    assert assign(index, [Source("two", ("*.example",)), Source("rest"), Source("one", ("*/blog/*",))]).tolist() == [
        1, 0, 1,
    ]  # fmt: skip
    assert glob_regex("a.b+c/*") == r"(?s)^a\.b\+c/.*$"


def test_what_cannot_be_mixed_is_a_sentence(tmp_path: Path) -> None:
    path = corpus(tmp_path)
    for sources, message in (
        ([Source("news", ("news*",), 1.0)], r"'news' of the mix matches no training document: news\*.*books/a.txt"),
        ([Source("wiki", ("wiki*",), 0.0)], "No source of the mix has a weight above 0"),
        ([Source("wiki", ("wiki*",), 1.0, 0.5)], "allow more epochs, or train for fewer steps"),
    ):
        with pytest.raises(MixError, match=message):
            MixedDataset(path, sources, seq_len=16, draws=5000)
    with pytest.raises(MixError, match="too few for one window of 100,000"):
        MixedDataset(path, [Source("wiki", ("wiki*",))], seq_len=100_000, draws=5)


def test_documents_that_match_nothing_are_not_read_unless_asked(tmp_path: Path) -> None:
    index = documents_of_split(corpus(tmp_path))
    found, owner = plan_mix(index, [Source("wiki", ("wiki*",), 1.0), Source("rest", (), 0.0)], seq_len=16, draws=10)
    assert [share.share for share in found] == [1.0, 0.0]
    assert found[1].documents == (owner == 1).sum() > 0
    tokens = index["n_tokens"].to_numpy()
    assert sum(share.tokens for share in found) == tokens.sum()
