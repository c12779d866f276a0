"""How well an index finds: questions about held-out pages of Python's documentation, with known answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from data_lake.tables.draws import hash_draw
from tasks.benchmarks.metrics import mean_and_stderr
from tasks.corpus.splits import SplitDocument, documents_of
from tasks.retrieval.index.search import Search
from tasks.stage import Artifact
from tasks.synthetic.instructions import WHAT
from tasks.synthetic.pydoc import entries, module_of
from tasks.synthetic.quotations import passages_of

DEPTH = 20
"""Passages that are looked through for the page and for the answer."""


@dataclass(frozen=True)
class Asked:
    """A question about a page, and the answers that are right: what the name does, alone or below its signature, in
    which the pages of methods have `self`."""

    question: str
    answers: tuple[str, ...]
    document: SplitDocument


def questions_of(corpus: Artifact, limit: int, most: int) -> list[Asked]:
    """Return questions about the documented names of held-out pages, at most `most`, chosen by hash."""
    found = [asked for document in documents_of(corpus.path, {"val", "test"}) for asked in _about(document, limit)]
    found.sort(key=lambda one: (hash_draw("ask", one.question), one.document.doc_id))
    return found[:most]


def _about(document: SplitDocument, limit: int) -> Iterator[Asked]:
    module = module_of(document.url, document.title)
    for owner, entry in passages_of(entries(document.text, module), limit) if module else ():
        name = f"{owner}.{entry.name}"
        question = WHAT[hash_draw("ask", name) % len(WHAT)].format(name=name)
        with_self = f"{entry.name}({', '.join(['self', *filter(None, [entry.arguments])])})\n    {entry.summary}"
        yield Asked(question, (entry.summary, entry.text, with_self), document)


def is_right(answer: str, answers: tuple[str, ...] | list[str]) -> bool:
    """Return whether a text is one of the right answers, blanks and line breaks aside."""
    return " ".join(answer.split()) in {" ".join(one.split()) for one in answers}


def holds(text: str, answers: tuple[str, ...] | list[str]) -> bool:
    """Return whether a text has one of the right answers in it, word for word."""
    plain = " ".join(text.split())
    return any(" ".join(one.split()) in plain for one in answers)


def asked_of(search: Search, asked: Asked, own: list[tuple[int, str]]) -> dict[str, object]:
    """Ask the index a question; `own` are the numbers and texts of the page's own passages."""
    found = search.find(asked.question, DEPTH)
    document = asked.document
    return {
        "question": asked.question,
        "answers": list(asked.answers),
        "doc_id": document.doc_id,
        "url": document.url,
        "page_rank": next((i for i, one in enumerate(found, 1) if one.doc_id == document.doc_id), None),
        "answer_rank": next((i for i, one in enumerate(found, 1) if holds(one.text, asked.answers)), None),
        "passage": next((number for number, text in own if holds(text, asked.answers)), None),
    }


def metrics_of(rows: list[dict[str, object]]) -> dict[str, float | None]:
    """Return how often the page and the answer are among the first one and the first five passages, with errors."""
    made: dict[str, float | None] = {}
    for what, column in (("hit", "page_rank"), ("answer", "answer_rank")):
        for depth in (1, 5):
            name = f"{what}_{depth}"
            hits = [float(isinstance(rank := row[column], int) and rank <= depth) for row in rows]
            made[name], made[f"{name}_stderr"] = mean_and_stderr(hits) if hits else (None, None)
    return made
