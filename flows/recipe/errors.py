"""Mistakes in a recipe: what is wrong, where, and the nearest valid name; one error lists all of them."""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_SHOWN_VALUE = 80
_CREDENTIALS = re.compile(r"//[^/\s@'\"]*@")  # in a URL: an error about such a URL must not print the password


@dataclass(frozen=True)
class Problem:
    """One mistake. `place` is `file:line` or the `--set` that caused it; `field` is a dotted path or ''."""

    place: str
    field: str
    reason: str
    value: str | None = None
    suggestion: str | None = None

    def __str__(self) -> str:
        where = " = ".join(part for part in (self.field, self.value) if part)
        hint = f" Did you mean {self.suggestion}?" if self.suggestion else ""
        # Long lines are wrapped here: a terminal would break them inside words.
        reason = textwrap.fill(
            self.reason + hint, 116, initial_indent="    ", subsequent_indent="    ", break_long_words=False
        )
        return _CREDENTIALS.sub("//…@", f"{self.place}  {where}".rstrip() + "\n" + reason)


class RecipeError(Exception):
    """A recipe that cannot be used; lists every mistake found, not only the first."""

    def __init__(self, recipe: str, problems: Sequence[Problem]) -> None:
        self.recipe = recipe
        self.problems = list(problems)
        count = "a mistake" if len(self.problems) == 1 else f"{len(self.problems)} mistakes"
        super().__init__(f"The recipe {recipe} has {count}:\n\n" + "\n".join(str(problem) for problem in self.problems))


def show_value(value: object) -> str:
    """Return a value as a user would write it, shortened to fit in a line."""
    if value is None:
        text = "null"
    elif isinstance(value, bool):
        text = str(value).lower()
    else:
        text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= MAX_SHOWN_VALUE else text[: MAX_SHOWN_VALUE - 1] + "…"


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """Return the valid name that is most similar to `name`, or None if nothing is similar."""
    by_lower = {candidate.lower(): candidate for candidate in valid}
    found = difflib.get_close_matches(name.lower()[:100], by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None
