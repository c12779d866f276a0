"""The report page: one HTML file without scripts that shows what evaluations measured, and calls no other host."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.evaluation.evaluate.page_content import Measured, content_of
from tasks.evaluation.evaluate.strips import MARGIN, WIDTH
from tasks.tracking.quantities import size

if TYPE_CHECKING:
    import jinja2

SHAPES_NO_RESULT = "draws what was measured"


def page_of(models: Sequence[Measured], title: str, gains: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return the page of models that were asked the same questions. Whatever their texts contain shows as text.

    gains: rows about what the stages of a run gave, with the same fields each.
    """
    return _template().render(title=title, width=WIDTH, margin=MARGIN, gains=gains, **content_of(models)) + "\n"


@functools.cache
def _template() -> jinja2.Template:
    import jinja2

    made = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    made.filters.update(number=_number, count=lambda value: f"{value:,}", size=size)
    return made.from_string(Path(__file__).with_name("page.html").read_text("utf-8"))


def _number(value: float | None) -> str:
    """Return a share with three decimals, and a larger number with four digits."""
    if value is None:
        return "–"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}" if abs(value) < 10_000 else f"{value:.3g}"


def _shown(value: Any) -> Any:
    """Make characters visible that HTML does not allow, such as NUL; texts of models and pages may have any."""
    if type(value) is not str:  # markup of a macro is escaped already
        return value
    return value.translate(_PICTURES).encode("utf-8", "replace").decode()


_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"} | {127: 0x2421}
