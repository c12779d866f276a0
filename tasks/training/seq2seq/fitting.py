"""Pairs as tokens: those that fit the limits are learned from or held out, the others are put aside and counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_lake.reading.ledger import Tally
from tasks.stage import Artifact, Output, PermanentError
from tasks.stage.rejected import Rejected

if TYPE_CHECKING:
    from model.seq2seq import PairIds
    from model.tokenizer import Tokenizer
    from tasks.training.seq2seq.config import Seq2SeqConfig


@dataclass(frozen=True)
class Lesson:
    """A pair and its tokens; the source's tokens may be those of its beginning only."""

    source: str
    target: str
    ids: PairIds


def fit(config: Seq2SeqConfig, out: Output, pairs: Artifact, tokenizer: Tokenizer) -> Mapping[str, Sequence[Lesson]]:
    """Return the pairs that fit by split, train and val, and account for all others. PermanentError if one is empty."""
    import pyarrow.parquet as pq

    from model.seq2seq import PairIds, pair_ids

    if missing := [role for role in ("bos", "eos", "pad") if not tokenizer.has(role)]:
        raise PermanentError(
            f"The tokenizer has no special token for {' and '.join(missing)}, with which texts begin, end and are "
            "padded; learn one from the pairs, or keep another (tokenizer.keep)."
        )
    longest = dict(zip(("source", "target"), config.limits, strict=True))
    tally, rejected, shortened = Tally("pairs"), Rejected(out, ""), 0
    kept: dict[str, list[Lesson]] = {"train": [], "val": []}
    for row in pq.read_table(pairs.path / "pairs.parquet").to_pylist():
        n_bytes = len(row["source"].encode()) + len(row["target"].encode())
        ids = pair_ids(tokenizer, row["source"], row["target"])
        lengths = {"source": len(ids.source), "target": len(ids.target) - 1}
        if lengths["source"] > longest["source"] and config.long_sources == "cut":
            ids = PairIds((*ids.source[: longest["source"] - 1], tokenizer.eos), ids.target)
            lengths["source"], shortened = longest["source"], shortened + 1
        long = next((side for side in lengths if lengths[side] > longest[side]), None)
        if long is None:
            tally.keep(n_bytes)
            kept[row["split"]].append(Lesson(row["source"], row["target"], ids))
        else:
            tally.remove(f"{long} too long", n_bytes)
            reason = f"{lengths[long]:,} tokens, the limit is {longest[long]:,}"
            rejected.add(f"{long} too long", row["place"], reason, row[long])
    for split, what in (("train", "learn from"), ("val", "measure on")):
        if not kept[split]:
            raise PermanentError(
                f"No pair to {what} fits the limits of {longest['source']:,} and {longest['target']:,} tokens: "
                f"{rejected.summary()}. Raise seq2seq.model.max_seq_len, shorten the texts, or set "
                "seq2seq.long_sources to cut."
            )
    rejected.write(out.warning)
    if shortened:
        out.info(f"Of {shortened:,} sources only the first {longest['source']:,} tokens are read.")
    out.ledger(tally.ledger())
    out.count(
        pairs=len(kept["train"]), validation_pairs=len(kept["val"]), rejected=len(rejected.rows), cut_sources=shortened
    )
    return kept
