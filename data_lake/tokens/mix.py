"""The mix: token windows of several sources in fixed proportions, drawn from the token shards as they are.

Nothing is tokenised again or copied. A source is the training documents whose `source` or URL matches its patterns.
Their tokens, one document after the other, form a stream that is cut into windows, just as the whole split is without
a mix. A window never holds documents of two sources, and a step's windows depend on the number of the step alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_lake.tables.draws import hash_draw
from data_lake.tokens.loader import TokenDataset
from data_lake.tokens.order import draws_of_step, shuffled

if TYPE_CHECKING:
    import pyarrow as pa

    from data_lake.tokens.packing import PackedDataset

REST = "rest"
"""The name of the documents that match no source."""


class MixError(ValueError):
    """The mix cannot be drawn from these documents; the message is a full sentence."""


@dataclass(frozen=True)
class Source:
    """A source as requested: globs on `source` and URL, its weight (None: its tokens), how often it may be read.

    The rest has no `patterns`: it is everything that no other source matches.
    """

    name: str
    patterns: tuple[str, ...] = ()
    weight: float | None = None
    max_epochs: float | None = None


@dataclass(frozen=True)
class Share:
    """A source as planned: its documents, tokens and windows; the share of the windows that it should have (`weight`)
    and gets (`share`); how many windows that is, and how often its tokens are read."""

    name: str
    documents: int
    tokens: int
    windows: int
    weight: float
    share: float
    draws: float
    epochs: float
    capped: bool

    def row(self) -> dict[str, Any]:
        """Return the share as a row of a table."""
        return {**asdict(self), "draws": round(self.draws)}


def documents_of_split(artifact: Path, split: str = "train") -> pa.Table:
    """Return source, url, n_bytes, first_token and n_tokens of a split's documents in a tokenize artifact."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    columns = ["split", "source", "url", "n_bytes", "first_token", "n_tokens"]
    index = pq.read_table(artifact / "documents.parquet", columns=columns)
    return index.filter(pc.equal(index["split"], split))


def assign(index: pa.Table, sources: Sequence[Source]) -> np.ndarray:
    """Return the number of each document's source, int64: the first one that matches, else the rest.

    -1 if no source matches and there is no rest.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    rest = next((number for number, source in enumerate(sources) if not source.patterns), -1)
    out = np.full(index.num_rows, rest, dtype=np.int64)
    for number, source in reversed(list(enumerate(sources))):
        matched = np.zeros(index.num_rows, dtype=bool)
        for pattern in source.patterns:
            for column in ("source", "url"):
                found = pc.match_substring_regex(index[column], glob_regex(pattern))
                matched |= pc.fill_null(pa.chunked_array(found.chunks, pa.bool_()), False).to_numpy()
        out[matched] = number
    return out


def glob_regex(pattern: str) -> str:
    """Return a glob as an RE2 regular expression: `*` is any text, including slashes, `?` any character."""
    parts = {"*": ".*", "?": "."}
    return "(?s)^" + "".join(parts.get(letter, re.escape(letter)) for letter in pattern) + "$"


def shares(
    sources: Sequence[Source], tokens: Sequence[int], documents: Sequence[int], *, seq_len: int, draws: int,
    temperature: float = 1.0, windows: Sequence[int] | None = None,
) -> list[Share]:  # fmt: skip
    """Return the share of each source in a run of `draws` windows.

    Weights are raised to 1/temperature and divided by their sum: 1 takes them as they are, and a higher temperature
    makes the sources more alike (Devlin 2018 for multilingual BERT; Xue et al. 2021, § 3.1, for mT5). A source that
    would be read more than `max_epochs` times gets exactly that many windows, and the other sources fill the gap in
    proportion to their weights; that may put another one over its cap, so this is repeated. Shares hold throughout the
    run: a capped source is not read faster at first and then never again.
    windows: how many each source has, if its documents are packed into them; then a window of a source whose documents
    pack badly holds fewer tokens, and the source gets more windows for its share of the tokens.
    Raises MixError if a source has no window, or if all sources together do not allow enough windows.
    """
    weights = [
        float(count if source.weight is None else source.weight) for source, count in zip(sources, tokens, strict=True)
    ]
    packed = windows is not None
    windows = [max(0, (count - 1) // seq_len) for count in tokens] if windows is None else windows
    for number, (source, weight, count, found) in enumerate(zip(sources, weights, tokens, windows, strict=True)):
        if weight > 0 and not found and source.weight is None and not source.patterns:
            weights[number] = 0.0  # a few documents that match no source and have no weight
        elif weight > 0 and not found:
            raise MixError(
                f"The source {source.name!r} of the mix has {count:,} tokens, too few for one window of {seq_len:,} + 1"
                + (f"; its patterns are {', '.join(source.patterns)}." if source.patterns else ".")
            )
    powers = np.array([weight ** (1 / temperature) if weight > 0 else 0.0 for weight in weights])
    if powers.sum() <= 0:
        raise MixError("No source of the mix has a weight above 0, so there is nothing to read.")
    asked = powers / powers.sum()
    if packed:
        powers = powers * windows / np.maximum(tokens, 1)
    caps = np.array(
        [
            np.inf if source.max_epochs is None else np.floor(source.max_epochs * count)
            for source, count in zip(sources, windows, strict=True)
        ]
    )
    drawn, capped = np.zeros(len(sources)), np.zeros(len(sources), dtype=bool)
    while True:
        left = draws - caps[capped].sum()
        free = powers * ~capped
        drawn = np.where(capped, caps, left * free / free.sum() if free.sum() > 0 else 0.0)
        over = ~capped & (drawn > caps)
        if not over.any():
            break
        capped |= over
    if round(float(drawn.sum())) < draws:
        raise MixError(
            f"The training needs {draws:,} windows of {seq_len:,} tokens, but the sources of the mix have no more than "
            f"{int(drawn.sum()):,} within their max_epochs; allow more epochs, or train for fewer steps."
        )
    return [
        Share(
            source.name, documents[i], tokens[i], windows[i], float(asked[i]), float(drawn[i] / draws), float(drawn[i]),
            float(drawn[i] / windows[i]) if windows[i] else 0.0, bool(capped[i]),
        )
        for i, source in enumerate(sources)
    ]  # fmt: skip


def plan_mix(
    index: pa.Table,
    sources: Sequence[Source],
    *,
    seq_len: int,
    draws: int,
    temperature: float = 1.0,
    packed: bool = False,
) -> tuple[list[Share], np.ndarray]:
    """Return the shares of a mix of these documents, and the source of each document. Reads no tokens.

    packed: each source's documents are packed into its windows, not joined and cut.
    """
    owner = assign(index, sources)
    counts = index["n_tokens"].to_numpy()
    there = owner >= 0
    tokens = np.bincount(owner[there], weights=counts[there], minlength=len(sources)).astype(np.int64).tolist()
    documents = np.bincount(owner[there], minlength=len(sources)).tolist()
    for source, found in zip(sources, documents, strict=True):
        if source.patterns and not found:
            known = sorted(set(index["source"].to_pylist()))
            raise MixError(
                f"The source {source.name!r} of the mix matches no training document: {', '.join(source.patterns)}. "
                f"There are {len(known):,} sources, such as {', '.join(known[:5])}."
            )
    windows = None
    if packed:
        from data_lake.tokens.packing import count_rows

        windows = [count_rows(counts[owner == number], seq_len) for number in range(len(sources))]
    planned = shares(sources, tokens, documents, seq_len=seq_len, draws=draws, temperature=temperature, windows=windows)
    return planned, owner


class SourceStream:
    """The tokens of some documents of a split, concatenated, as numbered windows of `seq_len + 1`."""

    def __init__(self, data: TokenDataset, first_token: np.ndarray, n_tokens: np.ndarray) -> None:
        """first_token, n_tokens: where the documents lie in the split's stream, in its order; int64."""
        self._data = data
        # adjacent documents are one stretch; a source whose documents are all adjacent has one per shard, or just one
        begins = np.ones(len(first_token), dtype=bool)
        begins[1:] = first_token[1:] != first_token[:-1] + n_tokens[:-1]
        at = np.flatnonzero(begins)
        lengths = np.add.reduceat(n_tokens, at) if len(at) else np.empty(0, np.int64)
        self._first = first_token[at]
        self._starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)

    def __len__(self) -> int:
        """Return how many whole windows there are."""
        return max(0, int(self._starts[-1] - 1) // self._data.seq_len)

    def window(self, i: int) -> np.ndarray:
        """Return window i: uint16 or uint32[seq_len + 1]."""
        if not 0 <= i < len(self):
            raise IndexError(f"Window {i} is outside the {len(self)} windows of this source.")
        at = i * self._data.seq_len
        stop = at + self._data.seq_len + 1
        parts = []
        stretch = int(np.searchsorted(self._starts, at, side="right")) - 1
        while at < stop:
            end = min(stop, int(self._starts[stretch + 1]))
            shift = int(self._first[stretch] - self._starts[stretch])
            parts.append(self._data.tokens(at + shift, end + shift))
            at, stretch = end, stretch + 1
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of one window."""
        return (self._data.seq_len + 1,)

    @property
    def dtype(self) -> np.dtype:
        """The type of a window's numbers."""
        return self._data.dtype

    def batch(self, windows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return windows as one array: uint16 or uint32[len(windows), seq_len + 1]."""
        out = np.empty((len(windows), *self.row_shape), dtype=self.dtype)
        for row, i in zip(out, windows, strict=True):
            row[:] = self.window(int(i))
        return out

    def tokens_in(self, draws: int, seed: int) -> int:
        """Return how many tokens are the inputs of the first `draws` windows of a run, each as often as it is read."""
        return draws * self._data.seq_len


class MixedDataset:
    """The training split as a mix: `batch(step, size)` returns the windows of a step, given its number alone.

    Draw number k of the run goes to the source that `MixOrder` names. Each source goes through its windows in its own
    order, each window once per epoch, reshuffled every epoch (as `TokenDataset.indices` does for the whole split).
    """

    def __init__(
        self, artifact: Path, sources: Sequence[Source], *, seq_len: int, draws: int, temperature: float = 1.0,
        seed: int = 0, end: int | None = None,
    ) -> None:  # fmt: skip
        """draws: windows of the whole run; end: pack the documents into rows (`PackedDataset`) and end each with this
        token, instead of joining them. Raises MixError if these sources cannot be mixed that way."""
        from data_lake.tokens.mix_order import MixOrder

        data = TokenDataset(artifact, "train", seq_len=seq_len)
        index = documents_of_split(artifact)
        self.shares, owner = plan_mix(
            index, sources, seq_len=seq_len, draws=draws, temperature=temperature, packed=end is not None
        )
        first, counts = index["first_token"].to_numpy(), index["n_tokens"].to_numpy()
        mine = [owner == number for number in range(len(sources))]
        self._streams: Sequence[SourceStream | PackedDataset]
        if end is None:
            self._streams = [SourceStream(data, first[those], counts[those]) for those in mine]
        else:
            from data_lake.tokens.packing import PackedDataset

            self._streams = [PackedDataset(data, first[those], counts[those], end=end) for those in mine]
        # seeded by name: adding a source or reordering the list does not change a source's own order
        self._seeds = [_seed(seed, source.name) for source in sources]
        self._order = MixOrder([share.share for share in self.shares])

    def places(self, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the source of each of these consecutive draws of the run, and the number of its window; int64."""
        sources, ordinals = self._order.draws(int(draws[0]), int(draws[-1]) + 1)
        windows = np.empty(len(sources), dtype=np.int64)
        for number in np.unique(sources).tolist():
            mine = sources == number
            windows[mine] = shuffled(ordinals[mine], len(self._streams[number]), self._seeds[number])
        return sources, windows

    def batch(self, step: int, size: int, rank: int = 0, world_size: int = 1) -> np.ndarray:
        """Return what a rank reads in a step of `size` windows: uint16 or uint32[rows, seq_len + 1]; if packed, int64
        [rows, 3, seq_len]."""
        sources, windows = self.places(draws_of_step(step, size, rank, world_size))
        out = np.empty((len(sources), *self._streams[0].row_shape), dtype=self._streams[0].dtype)
        for number in np.unique(sources).tolist():
            mine = sources == number
            out[mine] = self._streams[number].batch(windows[mine])
        return out

    def drawn(self, draws: int) -> list[dict[str, Any]]:
        """Return what the first `draws` windows took of each source: windows, tokens, epochs and the planned share.

        It is computed from the order that `batch` reads, so it is the same for a run that was interrupted.
        """
        counts = self._order.counts(draws).tolist()
        return [
            {
                "source": share.name,
                "windows": count,
                "tokens": stream.tokens_in(count, seed),
                "epochs": count / share.windows if share.windows else 0.0,
                "share": count / draws,
                "wanted": share.share,
                "weight": share.weight,
                "available_tokens": share.tokens,
                "reachable_tokens": stream.tokens_in(share.windows, seed),
                "distinct_tokens": stream.tokens_in(min(count, share.windows), seed),
            }
            for share, count, stream, seed in zip(self.shares, counts, self._streams, self._seeds, strict=True)
        ]


def _seed(seed: int, name: str) -> int:
    return hash_draw(str(seed), name) >> 1
