"""Formulas as lines of text, from TeX if a page has it, else from MathML; also superscripts and subscripts.

`10<sup>6</sup>` becomes 10⁶, as 106 would be another number. Letters, which have no such characters, are written as in
TeX: x^n, V_max.
"""

from __future__ import annotations

import html
import re

_DIGITS = "0123456789+-−=()"
_HIGH = str.maketrans(_DIGITS, "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾")
_LOW = str.maketrans(_DIGITS, "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎")
_MARKS = re.compile(
    rf"[{re.escape(_DIGITS)},;\s]*\d[{re.escape(_DIGITS)},;\s]*|[-+−]"
)  # numbers, signs, lists of notes
_INDEX = re.compile(r"[A-Za-z0-9Ͱ-Ͽ]{1,8}")
_TERM = re.compile(r"[A-Za-z0-9Ͱ-Ͽ.,+\-−=*/()^_]{1,20}")
_BLANKS_IN_TERM = re.compile(r"\s*([+\-−=*/])\s*")
_BASE = re.compile(r"[^\W\d_]*\Z")
# endings of ordinals and abbreviations, as in 1st, 2ème, Mme, No: these are not exponents
_ENDED = (
    "st nd rd th er ers re res ère ères de des e es ème èmes eme emes ième ieme nde me mes lle lles ve ie r rs o os a "
    "as to te ts t ta mo ma na no ne gr dr TM SM"
)
_ENDINGS = frozenset(_ENDED.split())
LONGEST = 40  # letters; a longer text is a note, not an index


def raised(text: str, before: str, *, low: bool = False) -> str:
    """Return a superscript (or subscript if `low`) as it is written after the text `before`."""
    inner = _BLANKS_IN_TERM.sub(r"\1", text.strip())
    if not inner or len(inner) > LONGEST:
        return text
    if _MARKS.fullmatch(inner):
        return text.translate(_LOW if low else _HIGH)
    if not (before[-1:].isalnum() or before[-1:] in {")", "]", "}"}):
        return text
    if not low and inner.isalpha() and _is_ending(inner, before):
        return text
    if _INDEX.fullmatch(inner):
        if low or len(inner) == 1:
            return ("_" if low else "^") + inner
        return f"^({inner})"
    if _TERM.fullmatch(inner) and not inner.startswith((",", "*")):
        return ("_" if low else "^") + (inner if re.fullmatch(r"[\d.]+", inner) else f"({inner})")
    return text


def _is_ending(text: str, before: str) -> bool:
    """Whether superscript letters are the ending of the word before them."""
    base = _BASE.search(before)
    word = base[0] if base else ""
    if len(text) > 1:
        return text in _ENDINGS or before[-1:].isdigit() or len(word) > 2
    return text in _ENDINGS and (before[-1:].isdigit() or word.isupper() or word == "n")


_DISPLAY = re.compile(r"\s*\{?\s*\\(?:display|text)style\b\s*(.*?)\s*", re.S)


def tex(source: str) -> str:
    """Return TeX on one line, without delimiters and without commands that only set its size."""
    text = " ".join(source.split()).strip("$ ")
    for opening, closing in ((r"\(", r"\)"), (r"\[", r"\]")):
        if text.startswith(opening) and text.endswith(closing):
            text = text[2:-2].strip()
    if found := _DISPLAY.fullmatch(text):
        text = found[1]
        if source.lstrip().startswith("{") and text.endswith("}"):
            text = text[:-1].strip()
    return text.rstrip("%\\ ") if text.endswith("%") else text


_TEX = re.compile(r'<annotation [^>]*encoding="(?:application/x-tex|[\w/+-]*latex|tex)"[^>]*>([^<]*)<', re.I)
_ALTERNATIVE = re.compile(r'\salttext="([^"]*)"')
_TOKEN = re.compile(r"<(/?)([A-Za-z][^\s>/]*)([^>]*)>|([^<]+)")
_COMMENT = re.compile(r"<!--.*?-->|<\?[^>]*>", re.S)
_INVISIBLE = dict.fromkeys(map(ord, "\u2062\u2063\u2064\u200b"))
_APPLIED = re.compile("\u2061(?=[^\\W_])")  # a function applied without parentheses: sin x
_LARGEST, _DEEPEST = 50_000, 100  # characters of MathML, and levels of nested elements


def formula(source: str) -> str:
    """Return the text of a <math> element from its canonical source."""
    source = _COMMENT.sub("", source)
    if found := _TEX.search(source):
        return tex(html.unescape(found[1]))
    if (found := _ALTERNATIVE.search(source, 0, source.find(">"))) and found[1].strip():
        return tex(html.unescape(found[1]))
    if len(source) > _LARGEST:
        return _bare(source)
    stack: list[tuple[str, str, list[str]]] = [("", "", [])]
    for match in _TOKEN.finditer(source):
        closing, name, attributes, text = match.groups()
        if text is not None:
            if stack[-1][0] in ("mi", "mn", "mo", "ms", "mtext") or (text := text.strip()):
                stack[-1][2].append(" ".join(html.unescape(text).translate(_INVISIBLE).split(" ")))
        elif closing:
            if len(stack) > 1:
                done, about, parts = stack.pop()
                stack[-1][2].append(_composed(done, about, parts))
        elif not attributes.endswith("/"):
            stack.append((name.lower(), attributes, []))
            if len(stack) > _DEEPEST:
                return _bare(source)
    return " ".join(_APPLIED.sub(" ", "".join(stack[0][2])).replace("\u2061", "").split())


def _bare(source: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", source)).split())


def _composed(name: str, attributes: str, parts: list[str]) -> str:
    if name.startswith("annotation") or name == "mphantom":
        return ""
    if name in ("semantics", "maction"):
        return parts[0] if parts else ""
    if name in ("msup", "mover") and len(parts) == 2:
        return parts[0] + _script(parts[1])
    if name in ("msub", "munder") and len(parts) == 2:
        return parts[0] + _script(parts[1], low=True)
    if name in ("msubsup", "munderover") and len(parts) == 3:
        return parts[0] + _script(parts[1], low=True) + _script(parts[2])
    if name == "mfrac" and len(parts) == 2:
        return "/".join(part if part.isalnum() else f"({part})" for part in parts)
    if name == "msqrt":
        return f"√({''.join(parts)})"
    if name == "mroot" and len(parts) == 2:
        return f"{parts[1].translate(_HIGH) if parts[1].isdigit() else parts[1]}√({parts[0]})"
    if name == "mfenced":
        said = dict(re.findall(r'(open|close)="([^"]*)"', attributes))
        return html.unescape(said.get("open", "(")) + ", ".join(parts) + html.unescape(said.get("close", ")"))
    if name in ("mtr", "mlabeledtr"):
        return ", ".join(parts) + "; "
    if name == "mtable":
        return "".join(parts).removesuffix("; ")
    if name == "mspace":
        return " "
    return "".join(parts)


def _script(text: str, *, low: bool = False) -> str:
    text = text.strip()
    if not text or text in {"¯", "‾", "^", "ˆ", "~", "˜", "→", "⃗", "˙", "¨", "_"}:
        return text
    if _MARKS.fullmatch(text):
        return text.translate(_LOW if low else _HIGH)
    return ("_" if low else "^") + (text if len(text) == 1 else f"({text})")
