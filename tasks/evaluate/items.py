"""Multiple-choice items made of held-out documentation pages: finish the sentence, and what does it do.

Right answers and wrong ones come from the same pool: entries of test pages whose text stands in no training document.
So neither having seen the answer, nor having seen the wrong ones, helps. All draws are by hash of the entry's name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

from tasks.evaluate.formats import HellaSwagItem, MmluItem, choices_in_order
from tasks.pydoc_entries import Entry
from tasks.sft.pairs import question, worth_asking

SUBJECT = "python_documentation"
SHORTEST, LONGEST = 24, 200
"""Characters of an answer: shorter ones are no sentences, longer ones leave no room for a small model's context."""


def candidates(entries: Iterable[Entry]) -> dict[str, Entry]:
    """Return the entries that items can be made of by their answer: one per answer, in the order of their hash."""
    found: dict[str, Entry] = {}
    for entry in sorted(entries, key=lambda entry: draw(entry, "order")):
        summary = entry.summary(LONGEST)
        if worth_asking(entry) and len(summary) >= SHORTEST and entry.name.rsplit(".", 1)[-1] not in summary.split():
            found.setdefault(summary, entry)
    return found


def without_seen(answers: Iterable[str], documents: Iterable[str]) -> tuple[list[str], int]:
    """Return the answers that stand in none of the documents, and how many did; case and spacing do not count."""
    left = {plain(answer): answer for answer in answers}
    total = len(left)
    for text in documents:
        here = plain(text)
        for answer in [answer for answer in left if answer in here]:
            del left[answer]
    return list(left.values()), total - len(left)


def halves(summary: str) -> tuple[str, str]:
    """Cut a sentence between two words near its middle: the beginning to go on from, and the ending to find."""
    words = summary.split()
    middle = max(1, len(words) // 2)
    return " ".join(words[:middle]), " ".join(words[middle:])


def hellaswag_items(pool: dict[str, Entry], count: int) -> list[HellaSwagItem]:
    """Make at most `count` sentences to finish; the wrong endings are those of other entries, of similar length."""
    cut = {entry: halves(summary) for summary, entry in pool.items()}
    usable = [entry for entry in cut if len(cut[entry][1]) >= SHORTEST // 2]
    items: list[HellaSwagItem] = []
    for entry in usable:
        begin, right = cut[entry]
        wrong = _nearest(entry, right, {other: cut[other][1] for other in usable}, "endings")
        if len(wrong) == 3 and len(items) < count:
            place = draw(entry, "place") % 4
            context = f"{entry.name.rsplit('.', 1)[-1]}({entry.arguments})\n{begin}"
            items.append(
                HellaSwagItem(
                    ind=len(items),
                    activity_label=entry.module,
                    ctx_a=context,
                    ctx_b="",  # lm-eval would write what stands here in small letters
                    ctx=context,
                    endings=choices_in_order(right, wrong, place),
                    label=place,
                    source_id=f"pydoc~{entry.qualified}",
                )
            )
    return items


def mmlu_items(pool: dict[str, Entry], count: int) -> list[MmluItem]:
    """Make at most `count` questions what a name does; the wrong choices say what other names do."""
    answers = {entry: summary for summary, entry in pool.items()}
    items: list[MmluItem] = []
    for entry, right in answers.items():
        wrong = _nearest(entry, right, answers, "choices")
        if len(wrong) == 3 and len(items) < count:
            place = draw(entry, "letter") % 4
            items.append(MmluItem(SUBJECT, question(entry), choices_in_order(right, wrong, place), place))
    return items


def draw(entry: Entry, salt: str) -> int:
    """Return a number that depends on the entry and the salt alone."""
    return int.from_bytes(hashlib.sha256(f"{salt}\0{entry.signature}".encode()).digest()[:8], "big")


def plain(text: str) -> str:
    """Return the text in one case with single spaces, to compare."""
    return re.sub(r"\s+", " ", text).casefold().strip()


def _nearest(entry: Entry, right: str, texts: dict[Entry, str], salt: str) -> Sequence[str]:
    """Return three texts of other entries that are closest in length to `right`, of twelve drawn by hash.

    Similar length, because otherwise length alone would tell the right one.
    """
    order = sorted(texts, key=lambda other: draw(other, f"{salt}\0{entry.signature}"))
    different: dict[str, str] = {}
    for other in order:
        if other != entry and plain(texts[other]) != plain(right) and len(different) < 12:
            different.setdefault(plain(texts[other]), texts[other])
    return sorted(different.values(), key=lambda text: (abs(len(text) - len(right)), text))[:3]
