"""The parts of an evaluation: the held-out text and each benchmark. Finished ones are kept, so that a retry goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from data_lake.store.files import write_whole
from tasks.benchmarks.base import Answered
from tasks.evaluation.evaluate.asking import MAX_NEW_TOKENS, Reply, Write, ask
from tasks.evaluation.evaluate.benchmarks import Asking
from tasks.evaluation.evaluate.controls import controls_of
from tasks.stage import Output
from tasks.synthetic.questions.files import HeldOut

if TYPE_CHECKING:
    from model.scoring import Scorer

HELD_OUT = "held-out text"
CHARACTERS = 4.0
"""Characters of a token, until those of this text and tokenizer are known."""


class Parts:
    """Does the parts one after the other, and tells how far all of them are, in characters that the model has to read.

    The staging folder keeps the result of each finished part: an evaluation that was interrupted finds it again.
    """

    def __init__(self, out: Output, sizes: Mapping[str, int]) -> None:
        """sizes: the characters of each part by name."""
        self._out, self._sizes = out, sizes
        self._folder = out.work / "measured"
        self._done = 0.0
        self._name, self._tokens = "", 0
        self._read_before = (0.0, 0)
        """Characters and tokens of the parts that were done here."""

    def read(self, tokens: int) -> None:
        """Note that the model has read more tokens of the present part."""
        self._tokens += tokens
        characters, before = self._read_before
        per_token = characters / before if before else CHARACTERS
        self._tell(min(self._sizes[self._name], self._tokens * per_token))

    def kept(self, name: str, do: Callable[[], Any]) -> Any:
        """Return what an earlier attempt kept of a part or, if it did not finish it, do it now. It has to be JSON."""
        path = self._folder / f"{name}.json"
        if not path.exists():
            self._name, self._tokens = name, 0
            self._tell(0)
            found = do()
            self._folder.mkdir(exist_ok=True)
            write_whole(path, json.dumps(found))
            characters, tokens = self._read_before
            self._read_before = characters + self._sizes[name], tokens + self._tokens
        self._done += self._sizes[name]
        return json.loads(path.read_text())

    def _tell(self, here: float) -> None:
        self._out.progress(self._done + here, sum(self._sizes.values()), "characters", self._name)


def sizes_of(texts: Sequence[HeldOut], askings: Mapping[str, Asking], controls: bool) -> dict[str, int]:
    """Return about how many characters the model reads in each part; what several requests begin with counts once."""
    sizes = {HELD_OUT: sum(len(one.text) for one in texts)}
    for name, asking in askings.items():
        benchmark = asking.benchmark
        items = [one.item for one in asking.chosen]
        before = sum(map(len, {one.before for one in asking.chosen}))
        choices = sum(len(text) for item in items for text in item.choices)
        questions = sum(len(text) for item in items for text in item.contexts)
        sizes[name] = before + questions + choices
        if benchmark.output == "generate":  # each prompt is read by itself, and each new token as well
            own = sum(len(one.before) for one in asking.chosen) + questions
            sizes[name] = own + round(len(items) * MAX_NEW_TOKENS * CHARACTERS)
        elif controls and benchmark.output == "choice" and benchmark.ability:
            again = before + questions + choices if benchmark.reordered else 0
            sizes[name] += again + (before + choices if benchmark.blind else 0)
    return sizes


def measured_benchmark(
    parts: Parts, name: str, asking: Asking, scorer: Scorer, write: Write, controls: bool
) -> tuple[list[Reply | None], dict[str, Any]]:
    """Return a model's replies to the items of a benchmark, and the controls."""

    def do() -> dict[str, Any]:
        replies = ask(scorer, write, asking.benchmark, asking.chosen)
        found = controls_of(scorer, write, asking, replies) if controls else {}
        return {"replies": [None if one is None else asdict(one) for one in replies], "controls": found}

    kept = parts.kept(name, do)
    return [None if one is None else _reply(one) for one in kept["replies"]], kept["controls"]


def _reply(row: Mapping[str, Any]) -> Reply:
    given = row["answered"]
    answered = Answered(tuple(given["log_likelihoods"]), tuple(given["is_greedy"]), given["text"])
    return Reply(answered, row["tokens"], row["cut"])
