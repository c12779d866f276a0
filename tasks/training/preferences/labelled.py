"""KTO's form of preferences: single answers labelled good or bad; those to the same prompt make pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

from tasks.stage.json_kinds import kind_of
from tasks.training.preferences.formats import Preference, preference, prompt_of, with_answer
from tasks.training.sft.formats import Conversation, NoConversation

_ANSWERS = ("completion", "response", "output", "answer")


@dataclass(frozen=True)
class Labelled:
    """An answer to a prompt (`asked.output`), and whether it is a good one."""

    asked: Conversation
    good: bool


@dataclass(frozen=True)
class Placed:
    """A labelled answer and where it came from."""

    place: str
    answer: Labelled


def preference_or_labelled(item: Any) -> Preference | Labelled:
    """Return what one parsed record holds; raises NoConversation with the reason if it is neither."""
    if not isinstance(item, Mapping) or "label" not in item or {"chosen", "rejected"} & item.keys():
        return preference(item)
    label = item["label"]
    if not isinstance(label, bool | int) or label not in (0, 1):
        raise NoConversation(f"label is {kind_of(label)}, neither true (a good answer) nor false (a bad one)")
    answers = [name for name in _ANSWERS if name in item]
    if not answers:
        raise NoConversation(f"it has a label, but no completion; its fields are {', '.join(map(str, item))}")
    return Labelled(with_answer(item, answers[0]), bool(label))


def paired(answers: Iterable[Placed]) -> Iterator[tuple[str, Preference | str, Labelled]]:
    """Yield (place, pair, its good answer) of the labelled answers, or in the place of a pair why one is in none.

    The answers to a prompt are paired in their order; if there are more good ones than bad ones, or fewer, those of
    which there are fewer come several times, so that all are learned from.
    """
    prompts: dict[tuple[Any, ...], dict[bool, list[Placed]]] = {}
    for one in answers:
        prompts.setdefault(prompt_of(one.answer.asked), {True: [], False: []})[one.answer.good].append(one)
    for sides in prompts.values():
        texts = {side: {one.answer.asked.output for one in some} for side, some in sides.items()}
        both = texts[True] & texts[False]
        for one in (*sides[True], *sides[False]):
            if one.answer.asked.output in both:
                yield one.place, "the same answer is labelled good and bad", one.answer
        good, bad = ([one for one in sides[side] if one.answer.asked.output not in both] for side in (True, False))
        if not (good and bad):
            for one in good or bad:
                missing = "bad" if one.answer.good else "good"
                yield one.place, f"there is no {missing} answer to the same prompt to compare it with", one.answer
            continue
        most = max(len(good), len(bad))
        for better, worse in zip(islice(cycle(good), most), islice(cycle(bad), most), strict=True):
            pair = Preference(better.answer.asked, worse.answer.asked.output)
            yield f"{better.place} and {worse.place}", pair, better.answer
