"""Which language a text is in: CLD2, or the script if that alone decides.

Measured on the 153 translations of the Universal Declaration of Human Rights whose language has its own code, whole and
in fragments of 120 characters (one core, CPU time):

| identifier | whole texts right | fragments right | Mchar/s | size |
|---|---|---|---|---|
| pycld2 0.42 | .928 | .913 | 25 | 14 MB |
| py3langid 0.4 | .739 | .746 | 1.8 | 5 MB |
| resiliparse 2.0 (detect_fast) | .634 | .545 | 179 | - |
| lingua 2.1 (low accuracy mode) | .523 | .529 | 0.8 | 96 MB |

CLD2 also reports which languages a mixed text contains, and the share of each.
"""

from __future__ import annotations

from dataclasses import dataclass

from tasks.corpus.clean.scripts import language_of_script

_CODES = {"iw": "he", "jw": "jv", "in": "id", "zh-Hant": "zh", "no": "nb", "blu": "hmn"}
_SAMPLE = 200_000  # characters that are examined; longer texts are sampled


@dataclass(frozen=True)
class Identified:
    """The main language of a text and the share of the text in it; code is None if no language is recognised.

    `shares` are the languages found, at most three, as (code, share), the largest first. A result that CLD2 itself
    calls unreliable does not count as recognised: on the translations such results are always wrong, and say English.
    """

    code: str | None
    score: float
    shares: tuple[tuple[str, float], ...] = ()

    def share(self, codes: tuple[str, ...]) -> float:
        """Return the share of the text that is in one of these languages."""
        return sum(share for code, share in self.shares if code in codes)


UNKNOWN = Identified(None, 0.0)


def identify(text: str) -> Identified:
    """Return the languages of a text. Codes are ISO 639-1 if the language has one, else ISO 639-3."""
    import pycld2

    sample = _evenly(text)
    try:
        reliable, _, found = pycld2.detect(sample)
    except (pycld2.error, UnicodeEncodeError):  # CLD2 rejects control characters and lone surrogates
        sample = "".join(c for c in sample if c.isprintable() or c in "\n\t")
        try:
            reliable, _, found = pycld2.detect(sample)
        except (pycld2.error, UnicodeEncodeError):  # unassigned code points that Python knows and CLD2 does not
            return UNKNOWN
    # codes with xx- are scripts in which CLD2 knows no language
    shares = [(_CODES.get(code, code), percent / 100) for _, code, percent, _ in found if percent and code[:2] != "xx"]
    shares = [(code, share) for code, share in shares if code != "un"]
    if reliable and shares:
        return Identified(*shares[0], shares=tuple(shares))
    # a script used by one language is certain even if the text is too short for CLD2, or unknown to it
    if (by_script := language_of_script(sample)) is not None:
        return Identified(*by_script, shares=(by_script,))
    return UNKNOWN


def _evenly(text: str) -> str:
    """Return the text, or ten evenly spaced pieces of it if it is long."""
    if len(text) <= _SAMPLE:
        return text
    size, step = _SAMPLE // 10, len(text) // 10
    return "\n".join(text[place : place + size] for place in range(0, step * 10, step))
