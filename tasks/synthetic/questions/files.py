"""Writes and reads the files of a questions artifact: held-out texts, items with their contamination, xz results."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_lake.store.files import write_whole
from data_lake.store.lake import Artifact
from data_lake.tables.documents import write_parquet
from tasks.corpus.benchmarks.formats import HellaSwagItem, MmluItem
from tasks.synthetic.questions.chosen import CHOSEN, Chosen, chosen_schema, read_chosen, write_chosen

if TYPE_CHECKING:
    import pyarrow as pa

TEXTS, HELLASWAG, MMLU, MMLU_DEV = "texts.parquet", "hellaswag.parquet", "mmlu.parquet", "mmlu_dev.parquet"
FACTS = "questions.json"
_SEEN = ("contaminated", "found_in_training")


@dataclass(frozen=True)
class HeldOut:
    """A held-out document that the models have to predict."""

    doc_id: str
    url: str | None
    source: str
    language: str | None
    text: str


@dataclass(frozen=True)
class Seen:
    """For each item of a benchmark: whether it is contaminated, and the share of it found in training documents."""

    contaminated: list[bool]
    share: list[float]


@dataclass(frozen=True)
class Asked:
    """What the models are asked.

    dev: the shots by subject. seen, available: by benchmark; `available` is how many items there were to choose from.
    benchmarks: the items of official benchmarks, by name.
    compression: bits per byte of xz on the texts, alone (`xz`) and primed with training text (`xz_primed`, None if
    that was not measured).
    files: which files the official benchmarks were read from, with the sha256 of their bytes.
    """

    texts: list[HeldOut]
    hellaswag: list[HellaSwagItem]
    mmlu: list[MmluItem]
    dev: dict[str, list[MmluItem]]
    seen: dict[str, Seen]
    available: dict[str, int]
    compression: dict[str, float | None]
    benchmarks: dict[str, list[Chosen]] = field(default_factory=dict)
    files: list[dict[str, Any]] = field(default_factory=list)


def write_questions(folder: Path, asked: Asked) -> None:
    """Write all files of the artifact."""
    _write(folder / TEXTS, [asdict(text) for text in asked.texts])
    _write(folder / HELLASWAG, _with_seen(asked.hellaswag, asked.seen["hellaswag"]))
    _write(folder / MMLU, _with_seen(asked.mmlu, asked.seen["mmlu"]))
    _write(folder / MMLU_DEV, [asdict(item) for shots in asked.dev.values() for item in shots])
    write_chosen(folder, asked.benchmarks)
    facts = {"available": asked.available, "compression": asked.compression, "files": asked.files}
    write_whole(folder / FACTS, json.dumps(facts, indent=2, sort_keys=True) + "\n")


def read_questions(folder: Path) -> Asked:
    """Read what `write_questions` wrote."""
    facts = json.loads((folder / FACTS).read_text("utf-8"))
    hellaswag, mmlu = _read(folder / HELLASWAG), _read(folder / MMLU)
    dev: dict[str, list[MmluItem]] = {}
    for row in _read(folder / MMLU_DEV):
        dev.setdefault(row["subject"], []).append(_mmlu_item(row))
    return Asked(
        [HeldOut(**row) for row in _read(folder / TEXTS)],
        [_hellaswag_item(number, row) for number, row in enumerate(hellaswag)],
        [_mmlu_item(row) for row in mmlu],
        dev,
        {"hellaswag": _seen(hellaswag), "mmlu": _seen(mmlu)},
        facts["available"],
        facts["compression"],
        read_chosen(folder),
        facts.get("files", []),  # artifacts of before have none
    )


def problems(artifact: Artifact) -> Iterator[str]:
    """Yield a sentence for each rule that the files break: columns as in the schema, as many rows as counted, answers
    among the choices, and positive, finite bits per byte of xz."""
    import pyarrow.parquet as pq

    counted = {TEXTS: "text_documents", HELLASWAG: "hellaswag_items", MMLU: "mmlu_items"}
    found = {file: pq.read_schema(artifact.path / file) for file in _schemas()}
    others = {file: schema for file, schema in _schemas().items() if not found[file].equals(schema)}
    for file, schema in others.items():
        yield f"{file} has the columns {', '.join(found[file].names)}, not {', '.join(schema.names)} of their types."
    if others:
        return
    for file, name in counted.items():
        rows, count = pq.read_metadata(artifact.path / file).num_rows, artifact.counts.get(name, 0)
        official = rows == 0 and file != TEXTS  # then benchmarks.parquet has its items
        if rows != count and not official:
            yield f"{file} has {rows:,} rows, but the stage counted {count:,}."
        if not rows and file == TEXTS:
            yield f"{file} is empty: there is no text to measure the models on."
    asked = read_questions(artifact.path)
    for name, choices in (
        ("hellaswag", [(item.endings, item.label) for item in asked.hellaswag]),
        ("mmlu", [(item.choices, item.answer) for item in asked.mmlu]),
    ):
        if wrong := [number for number, (texts, gold) in enumerate(choices) if not 0 <= gold < len(texts)]:
            yield f"{name} has {len(wrong):,} items whose answer is none of their choices, item {wrong[0]} first."
        if not choices and name not in asked.benchmarks:
            yield f"{name} is empty: there is nothing to ask."
        if asked.available[name] < len(choices):
            yield f"{name} has {len(choices):,} items of {asked.available[name]:,}."
    for name, items in asked.benchmarks.items():
        if len(items) != artifact.counts.get(f"{name}_items", 0):
            yield f"{name} has {len(items):,} items, but the stage counted {artifact.counts.get(f'{name}_items', 0):,}."
        if wrong := [number for number, one in enumerate(items) if not one.item.gold]:
            yield f"{name} has {len(wrong):,} items without an answer, item {wrong[0]} first."
    for name, bits in asked.compression.items():
        if bits is not None and not (math.isfinite(bits) and bits > 0):
            yield f"The bits per byte of {name} are {bits}, no positive number."


def _schemas() -> dict[str, pa.Schema]:
    """Return the schema of each Parquet file."""
    import pyarrow as pa

    def fields(**kinds: pa.DataType) -> list[pa.Field]:
        return [pa.field(name, kind, nullable=name in ("url", "language")) for name, kind in kinds.items()]

    text, number, choices = pa.string(), pa.int32(), pa.list_(pa.string())
    seen = fields(contaminated=pa.bool_(), found_in_training=pa.float64())
    mmlu = fields(subject=text, question=text, choices=choices, answer=number)
    hellaswag = fields(activity_label=text, ctx_a=text, ctx_b=text, ctx=text, endings=choices)
    hellaswag += fields(label=number, split=text, split_type=text, source_id=text)
    return {
        TEXTS: pa.schema(fields(doc_id=text, url=text, source=text, language=text, text=pa.large_string())),
        HELLASWAG: pa.schema([*hellaswag, *seen]),
        MMLU: pa.schema([*mmlu, *seen]),
        MMLU_DEV: pa.schema(mmlu),
        CHOSEN: chosen_schema(),
    }


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    import pyarrow as pa

    write_parquet(path, pa.Table.from_pylist([dict(row) for row in rows], schema=_schemas()[path.name]))


def _read(path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return pq.read_table(path).to_pylist()


def _with_seen(items: Sequence[HellaSwagItem | MmluItem], seen: Seen) -> list[dict[str, Any]]:
    found = zip(seen.contaminated, seen.share, strict=True)
    rows = [{**asdict(item), **dict(zip(_SEEN, row, strict=True))} for item, row in zip(items, found, strict=True)]
    for row in rows:
        row.pop("ind", None)  # a line number of the user's file has no meaning in a selection of its items
    return rows


def _seen(rows: Sequence[Mapping[str, Any]]) -> Seen:
    flags, shares = ([row[name] for row in rows] for name in _SEEN)
    return Seen(flags, shares)


def _hellaswag_item(number: int, row: Mapping[str, Any]) -> HellaSwagItem:
    values = {name: value for name, value in row.items() if name not in _SEEN}
    return HellaSwagItem(ind=number, **{**values, "endings": tuple(row["endings"])})


def _mmlu_item(row: Mapping[str, Any]) -> MmluItem:
    return MmluItem(row["subject"], row["question"], tuple(row["choices"]), row["answer"])
