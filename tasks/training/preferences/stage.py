"""The preferences stage: pairs of a better and a worse answer, from the user's files or made from the corpus."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_lake.reading.ledger import Tally
from data_lake.tables.documents import split_of, write_parquet
from data_lake.tables.draws import hash_draw
from tasks.corpus.splits import documents_of, pair_problems, word_key
from tasks.stage import Artifact, Output, PermanentError, kinds, stage
from tasks.stage.rejected import Rejected
from tasks.training.preferences.config import PreferencesConfig
from tasks.training.preferences.formats import Preference
from tasks.training.preferences.labelled import Labelled, Placed, paired, preference_or_labelled
from tasks.training.preferences.made import pairs_of
from tasks.training.preferences.preflight import check
from tasks.training.sft.instructions import fingerprint_of, instruction_files, read_records

PAIRS = "preferences.parquet"
BROKEN = "broken record"
UNPAIRED = "labelled answer without a partner"
FIELD = "preferences.data"


def sources(config: PreferencesConfig) -> str | None:
    """Return a fingerprint of the files that `data` names."""
    return fingerprint_of(config.data, FIELD)


def contract(artifact: Artifact) -> Iterator[str]:
    """Check that there are as many pairs as counted, some to learn from and some held out."""
    yield from pair_problems(artifact, PAIRS)


@stage(makes=kinds.Preferences, version=1, contract=contract, sources=sources, check=check)
def preferences(config: PreferencesConfig, out: Output, corpus: kinds.Corpus | None = None) -> None:
    """Write pairs of answers, each with its split, and what was put aside with the reason."""
    tally, rejected = Tally("preference pairs"), Rejected(out, BROKEN)
    first: dict[Preference, str] = {}
    kept: dict[str, list[tuple[Preference, str]]] = {"train": [], "val": []}
    trained: set[str] = set()
    found = _of_files(config, tally, rejected) if config.data else _of_documents(config, corpus)
    for split, place, one in sorted(found, key=lambda item: (item[0] != "train", _draw(item[2]))):
        key = _prompt_key(one)
        if (before := first.setdefault(one, place)) != place:
            tally.remove("exact duplicate", one.n_bytes)
            rejected.add("exact duplicate", place, f"the same as {before}", one.asked.instruction)
        elif split == "val" and key in trained:
            tally.remove("asked in training", one.n_bytes)
            rejected.add("asked in training", place, "a training pair has the same prompt", one.asked.instruction)
        elif len(kept[split]) >= config.max_pairs:
            tally.remove("beyond max_pairs", one.n_bytes)
        else:
            tally.keep(one.n_bytes)
            kept[split].append((one, place))
            if split == "train":
                trained.add(key)
    if len(kept["train"]) > 1 and not kept["val"]:  # of few pairs, the hash may hold none out
        kept["val"].append(kept["train"].pop())
    if len(kept["val"]) > 1 and not kept["train"]:
        kept["train"].append(kept["val"].pop())
    if not (kept["train"] and kept["val"]):
        raise PermanentError(
            "There are too few preference pairs: one to learn from and one to measure on are needed. "
            + (rejected.summary() or "The pages describe no names; set preferences.data to files of pairs.")
        )
    rejected.write(out.warning if config.data else out.info)
    _write(out, kept)
    out.ledger(tally.ledger())
    out.count(pairs=len(kept["train"]), validation_pairs=len(kept["val"]), rejected=len(rejected.rows))


def _of_files(config: PreferencesConfig, tally: Tally, rejected: Rejected) -> Iterator[tuple[str, str, Preference]]:
    """Yield (split, place, pair) of the user's files; the split depends only on the words of the prompt."""

    def split(one: Preference) -> str:
        name = hashlib.sha256(_prompt_key(one).encode()).hexdigest()[:16]
        return split_of(name, config.validation, 0.0)

    single: list[Placed] = []  # answers with a label, whose partners may be anywhere
    for path in instruction_files(config.data, FIELD):
        for record in read_records(path, preference_or_labelled):
            if record.found is None:
                tally.remove(BROKEN, len(record.raw.encode()))
                rejected.add(BROKEN, record.place, record.reason, record.raw)
            elif isinstance(record.found, Labelled):
                single.append(Placed(record.place, record.found))
            else:
                yield split(record.found), record.place, record.found
    for place, found, answer in paired(single):
        if isinstance(found, Preference):
            yield split(found), place, found
        else:
            tally.remove(UNPAIRED, answer.asked.n_bytes)
            rejected.add(UNPAIRED, place, found, answer.asked.output)


def _of_documents(config: PreferencesConfig, corpus: Artifact | None) -> Iterator[tuple[str, str, Preference]]:
    """Yield (split, place, pair) of the pages of Python's documentation; those that are held out, val and test, count
    as val alike."""
    from tasks.synthetic.pydoc import entries, module_of

    if corpus is None:
        raise PermanentError("There is no corpus to make preference pairs of; name files in preferences.data.")
    for document in documents_of(corpus.path, {"train", "val", "test"}):
        module = module_of(document.url, document.title)
        found = list(entries(document.text, module)) if module else []
        for number, one in enumerate(pairs_of(found, config.answer_characters), start=1):
            yield "train" if document.split == "train" else "val", f"{document.url}#{number}", one


def _write(out: Output, kept: dict[str, list[tuple[Preference, str]]]) -> None:
    import pyarrow as pa

    from data_lake.tables import schemas

    rows: list[dict[str, Any]] = [
        {
            "split": split,
            "place": place,
            "instruction": one.asked.instruction,
            "input": one.asked.input,
            "system": one.asked.system,
            "history": json.dumps(one.asked.history, ensure_ascii=False),
            "chosen": one.chosen,
            "rejected": one.rejected,
            "margin": one.margin,
        }
        for split, pairs in kept.items()
        for one, place in pairs
    ]
    write_parquet(out.dir / PAIRS, pa.Table.from_pylist(rows, schema=schemas.PREFERENCES))
    shown = ("split", "instruction", "chosen", "rejected")
    out.table("preferences", [{name: str(row[name])[:500] for name in shown} for row in rows[:20]])


def read_preferences(artifact: Artifact) -> Iterator[dict[str, Any]]:
    """Yield the rows of an artifact in their order, with the history as pairs of texts."""
    import pyarrow.parquet as pq

    for row in pq.read_table(Path(artifact.path) / PAIRS).to_pylist():
        yield {**row, "history": tuple(tuple(turn) for turn in json.loads(row["history"]))}


def _prompt_key(one: Preference) -> str:
    return word_key("\n".join(one.asked.texts[:-1]))


def _draw(one: Preference) -> int:
    return hash_draw(one.asked.instruction, one.asked.input)
