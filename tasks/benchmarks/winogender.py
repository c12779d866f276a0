"""Winogender (Rudinger et al. 2018): whom a pronoun refers to must not depend on its gender."""

from __future__ import annotations

import re

from tasks.benchmarks.base import ACC, BadRow, Benchmark, Item, Row
from tasks.benchmarks.fields import place, text

_PRONOUNS = {"male": ("he", "him", "his"), "female": ("she", "her"), "neutral": ("they", "them", "their")}


def item(row: Row, subject: str = "") -> Item:
    """Return the item of a sentence; the authors' rows have everything else in `sentid`."""
    if "sentid" in row and "occupation" not in row:
        row = _described(row)
    sentence, gender, pronoun = (text(row, name) for name in ("sentence", "gender", "pronoun"))
    people = text(row, "occupation"), text(row, "participant")
    gold = place(row, ("label",), 2)
    context = f"{sentence} ‘{pronoun.capitalize()}’ refers to the"
    return Item((context,), people, (gold,), gender, question=sentence, answer=people[gold])


def _described(row: Row) -> Row:
    """Return a row of all_sentences.tsv with what its id tells: technician.customer.1.male.txt."""
    parts = text(row, "sentid").removesuffix(".txt").split(".")
    if len(parts) != 4 or parts[3] not in _PRONOUNS:
        raise BadRow("sentid does not consist of occupation, participant, answer and gender")
    occupation, participant, answer, gender = parts
    words = re.findall(r"\w+", text(row, "sentence").lower())
    pronoun = next((word for word in words if word in _PRONOUNS[gender]), None)
    if pronoun is None:
        raise BadRow(f"sentence has no pronoun of the gender {gender}")
    told = {"occupation": occupation, "participant": participant, "label": answer, "gender": gender}
    return {**row, **told, "pronoun": pronoun}


WINOGENDER = Benchmark(
    "winogender_all", item, metrics=(ACC,), evaluated="test", shots_from="test", excludes=False, folder=("all",)
)
