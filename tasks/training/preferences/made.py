"""Preference pairs made from Python's documentation: what a name does, and how it is called, against another name's.

A better answer to "What does `x` do?" also is a sentence about x ("It returns …"), where docstrings are commands
("Return …"): the form is what a small model learns of these pairs.

Every choice is made by a hash of the entry, so a pair stays the same when other pages are added or removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from data_lake.tables.draws import hash_draw
from tasks.synthetic.instructions import CALL, WHAT, worth_asking
from tasks.synthetic.pydoc import Entry
from tasks.training.preferences.formats import Preference
from tasks.training.preferences.told import told
from tasks.training.sft.formats import Conversation

SHORTEST = 20  # characters of a description that says something


def pairs_of(entries: Sequence[Entry], limit: int) -> Iterator[Preference]:
    """Yield the pairs of a page's entries: what a name does, and how it is called, against another name's.

    Answers have at most `limit` characters, and nothing is asked twice.
    """
    public = {entry.qualified: entry for entry in reversed(entries) if worth_asking(entry)}
    texts = {name: entry.summary(limit) for name, entry in public.items()}
    texts = {name: text for name, text in texts.items() if len(text) >= SHORTEST and told(text)}
    calls = {name: f"`{entry.signature}`" for name, entry in public.items() if 0 < len(entry.arguments) < limit}
    for forms, answers in ((WHAT, texts), (CALL, calls)):
        for name, answer in sorted(answers.items()):
            others = sorted({other for other in answers.values() if other != answer})
            if others:
                draw = hash_draw("preference", forms[0], public[name].signature)
                asked = forms[draw % len(forms)].format(name=name)
                better = told(answer) if forms is WHAT else answer
                yield Preference(Conversation(asked, better or answer), others[draw // len(forms) % len(others)])
