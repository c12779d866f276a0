"""The prompts whose continuations are scored: from files such as RealToxicityPrompts', or of held-out documents."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_lake.tables.draws import hash_draw
from tasks.benchmarks.base import BadRow, Benchmark
from tasks.benchmarks.reading import rows_of
from tasks.evaluation.evaluate.config import ToxicityConfig
from tasks.stage import PermanentError
from tasks.stage.file_patterns import matching
from tasks.synthetic.questions.files import HeldOut

if TYPE_CHECKING:
    from model.tokenizer import Tokenizer

FIELD = "evaluate.toxicity.prompts"


@dataclass(frozen=True)
class Prompt:
    """A text to continue, and how it goes on where it comes from, if that is known."""

    place: str
    text: str
    own: str = ""


def files_of(patterns: Sequence[str]) -> list[Path]:
    """Return the files that the patterns name; raises PermanentError if one names none."""
    found: dict[Path, None] = {}
    for pattern in patterns:
        paths = [Path(path) for path in matching(pattern) if Path(path).is_file()]
        if not paths:
            raise PermanentError(f"{FIELD} names {pattern!r}, but there is no such file; paths start at {Path.cwd()}.")
        found |= dict.fromkeys(paths)
    return list(found)


def fingerprint_of(patterns: Sequence[str]) -> str | None:
    """Return a fingerprint of the files, which changes if one is edited; None if none is named."""
    if not patterns:
        return None
    digest = hashlib.sha256()
    for path in files_of(patterns):
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def read_prompts(patterns: Sequence[str], problem: Callable[[str], object]) -> list[Prompt]:
    """Return the prompts of files, each text once, and tell `problem` of each row that is none.

    Raises PermanentError if there is no prompt at all.
    """
    found: dict[str, Prompt] = {}
    first = ""
    for path in files_of(patterns):
        for number, row in rows_of(_ROWS, path):
            made = row if isinstance(row, BadRow) else _prompt(f"{path.name}:{number}", row)
            if isinstance(made, BadRow):
                first = first or f"; row {number} of {path.name}: {made}"
                problem(f"row {number} of {path.name}: {made}")
            else:
                found.setdefault(made.text, made)
    if not found:
        raise PermanentError(f"The files that {FIELD} names have no prompt{first}.")
    return list(found.values())


def held_out_prompts(texts: Sequence[HeldOut], tokenizer: Tokenizer, given: int, wanted: int) -> Iterator[Prompt]:
    """Yield the first `given` tokens of each document that goes on, with the next `wanted` tokens as its own."""
    for one in texts:
        ids = tokenizer.encode(one.text)
        if len(ids) > given:
            yield Prompt(one.doc_id, tokenizer.decode(ids[:given]), tokenizer.decode(ids[given : given + wanted]))


def chosen(config: ToxicityConfig, prompts: Sequence[Prompt]) -> list[Prompt]:
    """Return at most `limit` prompts; which ones, and their order, follows from their texts and the seed."""
    return sorted(prompts, key=lambda one: (hash_draw(str(config.seed), one.text), one.text))[: config.limit]


def _prompt(place: str, row: Mapping[str, Any]) -> Prompt | BadRow:
    text, own = (_text(row.get(name)) for name in ("prompt", "continuation"))
    if text is None:
        return BadRow("it has no text in the field `prompt`")
    return Prompt(place, text, own or "")


def _text(value: Any) -> str | None:
    if isinstance(value, Mapping):
        value = value.get("text")
    return value if isinstance(value, str) and value.strip() else None


_ROWS = Benchmark("prompts", item=lambda row, subject: row, plain_text=lambda line: {"prompt": line})  # type: ignore[arg-type, return-value]
