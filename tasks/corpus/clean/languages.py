"""Which language a text is in: CLD2, and the script where it alone decides.

Measured on 153 translations of the Universal Declaration of Human Rights whose language has a code of its own, whole
and in fragments of 120 characters (one core, CPU time):

| identifier | whole texts right | fragments right | Mchar/s | size |
|---|---|---|---|---|
| pycld2 0.42 | .928 | .913 | 25 | 14 MB |
| py3langid 0.4 | .739 | .746 | 1.8 | 5 MB |
| resiliparse 2.0 (detect_fast) | .634 | .545 | 179 | - |
| lingua 2.1 (low accuracy mode) | .523 | .529 | 0.8 | 96 MB |

CLD2 also tells which languages a mixed text is made of, and how much of it each takes.
"""

from __future__ import annotations

from dataclasses import dataclass

from tasks.corpus.clean.scripts import language_of_script

_CODES = {"iw": "he", "jw": "jv", "in": "id", "zh-Hant": "zh", "no": "nb", "blu": "hmn"}
_SAMPLE = 200_000  # characters that are looked at; the language of more text is the language of these


@dataclass(frozen=True)
class Identified:
    """The main language of a text and which share of the text is in it; code None where no language is recognised.

    `shares` are the languages found, at most three, as (code, share), the largest first. What CLD2 itself calls
    unreliable is not recognised: on the translations it is always wrong there, and says English.
    """

    code: str | None
    score: float
    shares: tuple[tuple[str, float], ...] = ()

    def share(self, codes: tuple[str, ...]) -> float:
        """Return which share of the text is in one of these languages."""
        return sum(share for code, share in self.shares if code in codes)


UNKNOWN = Identified(None, 0.0)


def identify(text: str) -> Identified:
    """Return the languages of a text. Codes are ISO 639-1 where there is one, else 639-3."""
    import pycld2

    sample = _evenly(text)
    try:
        reliable, _, found = pycld2.detect(sample)
    except (pycld2.error, UnicodeEncodeError):  # control characters, lone surrogates: no text of CLD2's
        sample = "".join(c for c in sample if c.isprintable() or c in "\n\t")
        try:
            reliable, _, found = pycld2.detect(sample)
        except (pycld2.error, UnicodeEncodeError):  # unassigned code points that Python knows and CLD2 does not
            return UNKNOWN
    # codes with xx- are scripts: CLD2 knows no language that is written in them
    shares = [(_CODES.get(code, code), percent / 100) for _, code, percent, _ in found if percent and code[:2] != "xx"]
    shares = [(code, share) for code, share in shares if code != "un"]
    if reliable and shares:
        return Identified(*shares[0], shares=tuple(shares))
    # a script with one language is certain where a text is too little, or nothing, for CLD2's statistics
    if (by_script := language_of_script(sample)) is not None:
        return Identified(*by_script, shares=(by_script,))
    return UNKNOWN


def _evenly(text: str) -> str:
    """Return the text, or of a long one ten pieces that lie evenly over it."""
    if len(text) <= _SAMPLE:
        return text
    size, step = _SAMPLE // 10, len(text) // 10
    return "\n".join(text[place : place + size] for place in range(0, step * 10, step))
