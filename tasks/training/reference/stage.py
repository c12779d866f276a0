"""The reference stage: a model's log-probabilities of preference pairs, so that training needs it in memory no more.

Each pair also gets the log-probability of another pair's better answer to its prompt: kto estimates with these how far
a model has moved from its reference (Ethayarajh et al. 2024).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tasks.stage import Artifact, Output, kinds, stage
from tasks.training.answers import AnswerPair, fitting_pairs, swapped
from tasks.training.reference.config import ReferenceConfig
from tasks.training.reference.preflight import check
from tasks.training.trained import chat_template_of, load_trained

if TYPE_CHECKING:
    from model.chat import Example
    from model.gpt import GPT

LOG_PROBS = "log_probs.parquet"


def contract(artifact: Artifact) -> Iterator[str]:
    """Check that there is a row for each pair, with log-probabilities."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(artifact.path / LOG_PROBS)
    if table.num_rows != artifact.counts["pairs"] + artifact.counts["validation_pairs"]:
        yield f"{LOG_PROBS} has {table.num_rows:,} rows, not one for each of the counted pairs."
    for name in ("chosen", "rejected", "other"):
        if not pc.all(pc.less_equal(table[name], 0)).as_py():
            yield f"{LOG_PROBS} has {name} values that are no log-probabilities."


@stage(makes=kinds.ReferenceLogProbs, version=1, contract=contract, check=check, gpu=True)
def reference(config: ReferenceConfig, out: Output, base: kinds.Model, preferences: kinds.Preferences) -> None:
    """Write the log-probability of each pair's answers, summed over their tokens with the end token."""
    import pyarrow as pa

    from data_lake.tables import schemas
    from data_lake.tables.documents import write_parquet
    from model.hardware import choose_device

    model, tokenizer = load_trained(base, str(choose_device(config.device)))
    template = chat_template_of(base) or "textmill"
    found = fitting_pairs(out, preferences, tokenizer, model.config.max_seq_len, template)
    rows: list[dict[str, float | int]] = []
    for pairs in found.values():
        columns = {"chosen": [pair.chosen for pair in pairs], "rejected": [pair.rejected for pair in pairs]}
        columns["other"] = swapped(pairs, model.config.max_seq_len)
        values = {
            name: _sums(out, model, answers, tokenizer.pad, config.batch, name) for name, answers in columns.items()
        }
        rows += [
            {"row": pair.row, **{name: column[place] for name, column in values.items()}}
            for place, pair in enumerate(pairs)
        ]
    write_parquet(out.dir / LOG_PROBS, pa.Table.from_pylist(rows, schema=schemas.REFERENCE_LOG_PROBS))


def _sums(out: Output, model: GPT, answers: Sequence[Example], pad: int, size: int, name: str) -> list[float]:
    from model.batches import answer_batch
    from model.log_probs import answer_log_probs

    found: list[float] = []
    for start in range(0, len(answers), size):
        found += answer_log_probs(model, answer_batch(answers[start : start + size], pad).to(model.device)).tolist()
        out.progress(min(start + size, len(answers)), len(answers), f"{name} answers")
    return found


def read_log_probs(artifact: Artifact, pairs: Sequence[AnswerPair]) -> dict[int, tuple[float, float, float]]:
    """Return row of the pair -> log-probabilities of its better answer, its worse one, and another pair's better one.

    Raises ValueError if a pair is missing: the artifact is of other preferences.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(artifact.path / LOG_PROBS).to_pylist()
    found = {row["row"]: (row["chosen"], row["rejected"], row["other"]) for row in table}
    if any(pair.row not in found for pair in pairs):
        raise ValueError(f"{artifact.name} lacks pairs: it was computed for other preferences.")
    return found
