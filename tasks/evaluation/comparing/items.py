"""The scores that evaluations keep of each item and each held-out document, and which of them two evaluations share."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_lake.store.lake import Artifact
from tasks.evaluation.comparing.beside import scores_beside
from tasks.evaluation.comparing.scores import Scores

if TYPE_CHECKING:
    import numpy as np

    from tasks.evaluation.comparing.statistics import Floats

PER_ITEM, PER_DOCUMENT = "per_item.parquet", "per_document.parquet"
RIGHT = "correct"
"""`correct` holds which items a model got right by `acc`, `correct_norm` by `acc_norm`, and so on."""
NO_METRICS = {"found_in_training"}


@dataclass(frozen=True)
class Documents:
    """The held-out documents as one model predicted them; keys are their ids and a digest of their texts."""

    keys: list[str]
    nats: Floats
    sizes: Floats  # bytes
    groups: Mapping[str, list[str]]


@dataclass(frozen=True)
class Sheet:
    """All scores of one evaluation. `questions` is the content of the questions that it answers."""

    name: str
    questions: str
    benchmarks: Mapping[str, Scores]
    documents: Documents | None


@dataclass(frozen=True)
class Shared:
    """Places of the same items in two lists, and how many items only one of them has."""

    before: np.ndarray[Any, Any]
    after: np.ndarray[Any, Any]
    only_before: int
    only_after: int


def sheet_of(evaluation: Artifact, beside: Sequence[Artifact] = ()) -> Sheet:
    """Read the scores of an evaluation and of what else measured its model: a judge, memorised passages.

    Raises OSError or ValueError if its files cannot be read.
    """
    questions = evaluation.manifest.inputs.get("questions")
    documents = None
    if PER_DOCUMENT in evaluation.files:
        documents = _documents(evaluation)
    content = questions.content if questions else ""
    found = _benchmarks(evaluation) if PER_ITEM in evaluation.files else {}
    for one in (evaluation, *beside):
        found |= scores_beside(one)
    return Sheet(evaluation.name, content, found, documents)


def shared_items(before: Scores, after: Scores, *, same_questions: bool) -> Shared:
    """Match the items of one benchmark: by name if both answer the same questions, else by what was asked.

    Items that were asked with other shots match by the last paragraph of their prompts, if it stands once on each side.
    """
    if same_questions:
        return _matched(before.names, after.names)
    first = _matched(before.keys, after.keys)
    left = [sorted(set(range(len(side.keys))) - set(taken.tolist()))
            for side, taken in ((before, first.before), (after, first.after))]  # fmt: skip
    loose = [[side.loose[place] for place in places] for side, places in zip((before, after), left, strict=True)]
    once = [{key for key, times in Counter(keys).items() if times == 1} for keys in loose]
    places = {key: place for key, place in zip(loose[1], left[1], strict=True) if key in once[1]}
    more = [(place, places[key]) for key, place in zip(loose[0], left[0], strict=True)
            if key in once[0] and key in places]  # fmt: skip
    return _shared(
        [*zip(first.before.tolist(), first.after.tolist(), strict=True), *more], len(before.keys), len(after.keys)
    )


def shared_documents(before: Documents, after: Documents) -> Shared:
    """Match documents that have the same id and the same text."""
    return _matched(before.keys, after.keys)


def _matched(before: Sequence[str], after: Sequence[str]) -> Shared:
    """Match equal keys; of keys that stand several times, the first with the first, and so on."""
    places = {key: place for place, key in enumerate(_numbered(after))}
    pairs = [(place, places[key]) for place, key in enumerate(_numbered(before)) if key in places]
    return _shared(pairs, len(before), len(after))


def _numbered(keys: Sequence[str]) -> list[tuple[str, int]]:
    seen: Counter[str] = Counter()
    numbered = []
    for key in keys:
        numbered.append((key, seen[key]))
        seen[key] += 1
    return numbered


def _shared(pairs: Sequence[tuple[int, int]], n_before: int, n_after: int) -> Shared:
    import numpy as np

    places = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
    return Shared(places[:, 0], places[:, 1], n_before - len(places), n_after - len(places))


def _documents(evaluation: Artifact) -> Documents:
    import numpy as np
    import pyarrow.parquet as pq

    table = pq.read_table(evaluation.path / PER_DOCUMENT)
    columns = {name: table[name].to_pylist() for name in ("doc_id", "sha256", "source", "language")}
    return Documents(
        [f"{doc_id} {digest}" for doc_id, digest in zip(columns["doc_id"], columns["sha256"], strict=True)],
        np.asarray(table["nats"], dtype=np.float64),
        np.asarray(table["bytes"], dtype=np.float64),
        {name: [str(value or "unknown") for value in columns[name]] for name in ("source", "language")},
    )


def _benchmarks(evaluation: Artifact) -> dict[str, Scores]:
    """Read all benchmarks, a batch of items at a time: prompts are long, and only their digests are kept."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(evaluation.path / PER_ITEM)
    schema = file.schema_arrow
    shares = {one.name: "acc" + one.name.removeprefix(RIGHT) for one in schema
              if one.name.startswith(RIGHT) and pa.types.is_boolean(one.type)}  # fmt: skip
    numbers = [one.name for one in schema if pa.types.is_floating(one.type) and one.name not in NO_METRICS]
    groups = [name for name in ("subject", "group") if name in schema.names]
    found: dict[str, dict[str, list[Any]]] = {}
    for batch in file.iter_batches(512):
        for row in batch.to_pylist():
            mine = found.setdefault(row["benchmark"], {})
            key, loose = _digests(row)
            values: dict[str, Any] = {"name": str(row["item"]), "key": key, "loose": loose}
            values |= {"contaminated": bool(row.get("contaminated"))}
            values |= {metric: row[column] for column, metric in shares.items()}
            values |= {name: row[name] for name in (*numbers, *groups)}
            for name, value in values.items():
                mine.setdefault(name, []).append(value)
    return {name: _scores(columns, frozenset(shares.values()), numbers, groups) for name, columns in found.items()}


def _scores(
    columns: Mapping[str, list[Any]], shares: frozenset[str], numbers: Sequence[str], groups: Sequence[str]
) -> Scores:
    import numpy as np

    metrics = {name: np.array(columns[name], dtype=np.float64) for name in (*sorted(shares), *numbers)}
    return Scores(
        columns["name"],
        columns["key"],
        columns["loose"],
        np.array(columns["contaminated"], dtype=np.bool_),
        {name: values for name, values in metrics.items() if not np.isnan(values).all()},
        shares,
        {name: [str(value) for value in columns[name]] for name in groups},
    )


def _digests(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return the digests of an item: with the whole prompt, and with its last paragraph only."""
    context = str(row.get("context", ""))
    answer = [row.get("choices"), row.get("gold")]
    texts = (json.dumps([prompt, *answer], ensure_ascii=False, default=str) for prompt in (context, _last(context)))
    key, loose = (hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32] for text in texts)
    return key, loose


def _last(context: str) -> str:
    """The last paragraph of a prompt: lm-eval puts an empty line between description, shots and question."""
    return context.rpartition("\n\n")[2]
