"""Docstrings told as answers: "Return the time." is a command, "It returns the time." says what a name does."""

from __future__ import annotations

import re

# The verbs with which docstrings of Python's library begin most often.
_VERBS = (
    "Add Append Apply Attach Build Calculate Call Change Check Clear Close Compare Compile Compute "
    "Configure Connect Construct Convert Copy Create Decode Define Delete Determine Dump Encode Execute "
    "Expand Extend Extract Fetch Find Format Generate Get Give Handle Initialize Insert Iterate Join List "
    "Load Look Make Match Merge Move Open Parse Perform Pop Print Process Put Raise Read Register Remove "
    "Rename Replace Report Represent Reset Resolve Retrieve Return Run Save Search Select Send Set Show "
    "Shut Skip Sort Split Start Stop Store Strip Substitute Suspend Tell Test Transform Translate Try "
    "Turn Update Use Validate Verify Wait Wrap Write Yield"
)
VERBS = frozenset(_VERBS.split())
_FIRST = re.compile(r"([A-Z][a-z]+) (?=[a-z`'\"(])")


def told(text: str) -> str | None:
    """Return a docstring that begins with a verb as a sentence about what is asked; None if it begins otherwise."""
    found = _FIRST.match(text)
    if found is None or found[1] not in VERBS:
        return None
    return f"It {third_person(found[1].lower())} {text[found.end() :]}"


def third_person(verb: str) -> str:
    """Return the third person of a regular English verb."""
    if verb.endswith(("s", "x", "z", "ch", "sh", "o")):
        return f"{verb}es"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return f"{verb[:-1]}ies"
    return f"{verb}s"
