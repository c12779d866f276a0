"""The recipe reference in README.md, generated from the configs: `python -m flows.reference` brings it up to date."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from flows.recipe import Recipe, RecipeBase
from tasks.config import is_execution

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN, END = "<!-- recipe reference: begin (generated) -->", "<!-- recipe reference: end -->"


def reference() -> str:
    """One Markdown table for each section of a recipe."""
    sections = []
    for name, field in Recipe.model_fields.items():
        if name in RecipeBase.model_fields:
            continue
        rows = "\n".join(_rows(field.get_default(call_default_factory=True)))
        head = "| field | default | meaning |\n|---|---|---|"
        sections.append(f"<details><summary><code>{name}</code></summary>\n\n{head}\n{rows}\n\n</details>")
    return "\n\n".join(sections)


def with_reference(readme: str) -> str:
    """The text of the README with its generated part made new; ValueError when the marks are missing."""
    before, found_begin, rest = readme.partition(BEGIN)
    _old, found_end, after = rest.partition(END)
    if not (found_begin and found_end):
        raise ValueError(f"README.md has no lines {BEGIN!r} and {END!r}; put them where the reference belongs.")
    return f"{before}{BEGIN}\n\n{reference()}\n\n{END}{after}"


def _rows(section: BaseModel, prefix: str = "") -> Iterator[str]:
    """The rows of a section's fields, with what this very section holds: two of one class may differ."""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _rows(value, f"{prefix}{name}.")
            continue
        mark = " ¹" if is_execution(field) else ""
        meaning = " ".join((field.description or "").split())
        yield f"| `{prefix}{name}`{mark} | {_cell(_show(value))} | {_cell(meaning)} |"


def _show(value: Any) -> str:
    if value is None:
        return "null"
    text = str(value).lower() if isinstance(value, bool) else repr(value) if value == "" else str(value)
    return f"`{text}`" if len(text) <= 60 else f"`{text[:57]}…`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Write the reference into README.md."""
    text = README.read_text("utf-8")
    new = with_reference(text)
    if new != text:
        README.write_text(new, "utf-8")
        print("README.md: the recipe reference was brought up to date.", file=sys.stderr)


if __name__ == "__main__":
    main()
