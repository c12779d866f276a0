"""Evaluations made by hand: items and documents with given results, as artifacts of a lake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from data_lake.reading.ledger import Amount, Ledger
from data_lake.store.lake import Artifact, Lake
from flows.comparing.runs import PipelineRecord
from tasks.stage import kinds
from tests.lakes import commit


def items(benchmark: str, right: Sequence[bool | None], **columns: Sequence[Any]) -> list[dict[str, Any]]:
    """Rows of per_item.parquet, one for each answer; `columns` replace what all items have."""
    return [
        {
            "benchmark": benchmark,
            "item": number,
            "context": f"Question {benchmark} {number}?",
            "choices": ["yes", "no"],
            "gold": number % 2,
            "log_likelihoods": [-1.0, -2.0],
            "correct": answer,
            "correct_norm": answer,
            "contaminated": False,
            "found_in_training": 0.0,
            **{name: values[number] for name, values in columns.items()},
        }
        for number, answer in enumerate(right)
    ]


def documents(nats: Sequence[float], size: int = 1000, **columns: Sequence[Any]) -> list[dict[str, Any]]:
    """Rows of per_document.parquet."""
    return [
        {
            "doc_id": f"{number:016x}",
            "source": "example.org",
            "language": "en",
            "sha256": f"{number:064x}",
            "nats": value,
            "tokens": 100,
            "bytes": size,
            **{name: values[number] for name, values in columns.items()},
        }
        for number, value in enumerate(nats)
    ]


def questions(lake: Lake, name: str = "q") -> Artifact:
    """Some questions; other names are other questions."""
    return commit(lake, "questions", config={"of": name}, texts={"q": name}, kind=kinds.Questions.__name__)


def model(
    lake: Lake, stage: str = "pretrain", upstream: Mapping[str, Artifact] | None = None, **config: Any
) -> Artifact:
    """A model that differs from others in its config."""
    return commit(
        lake, stage, None, dict(upstream or {}), config, 1, {"weights": str(config)}, kind=kinds.Model.__name__
    )


def evaluation(
    lake: Lake,
    model: Artifact,
    questions: Artifact,
    per_item: Sequence[Mapping[str, Any]] = (),
    per_document: Sequence[Mapping[str, Any]] = (),
) -> Artifact:
    """The evaluation of a model with these rows."""
    tables = {"per_item.parquet": pa.Table.from_pylist(list(map(dict, per_item)))} if per_item else {}
    if per_document:
        tables["per_document.parquet"] = pa.Table.from_pylist(list(map(dict, per_document)))
    roles = {"model": model, "questions": questions}
    return commit(lake, "evaluate", tables, roles, {}, 2, kind=kinds.Evaluation.__name__)


class Runs:
    """Pipeline runs that train and evaluate a model each; `records` stands for MLflow, the oldest first."""

    def __init__(self, lake: Lake, records: list[PipelineRecord]) -> None:
        self.lake, self.records = lake, records

    def run(
        self,
        right: Sequence[bool],
        nats: Sequence[float] = (),
        *,
        name: str = "demo",
        variant: str | None = None,
        asked: str = "q",
        flow: str | None = None,
        contaminated: Sequence[bool] | None = None,
        ledger: Ledger | None = None,
        benchmark: str = "b",
        **config: Any,
    ) -> Artifact:
        """Add a run with one model that has these answers and nats; return the model."""
        clean = commit(self.lake, "clean", config={"ledger": str(ledger)},
                       ledger=(ledger or Ledger(Amount(), Amount())).to_dict())  # fmt: skip
        made = model(self.lake, upstream={"documents": clean}, **config)
        marks = {} if contaminated is None else {"contaminated": contaminated}
        scored = evaluation(self.lake, made, questions(self.lake, asked), items(benchmark, right, **marks),
                            documents(nats))  # fmt: skip
        place = len(self.records)
        self.records.append(
            PipelineRecord(
                f"{place:04x}" * 8, name if variant is None else f"{name}@{variant}", "FINISHED", place,
                {f"pretrain.{field}": str(value) for field, value in config.items()}, {"evaluate-pretrain.acc": 0.5},
                {"clean": clean.name, "pretrain": made.name, "evaluate-pretrain": scored.name}, variant, flow,
            )
        )  # fmt: skip
        return made
