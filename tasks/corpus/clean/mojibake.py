"""Mojibake: ftfy (Speer 2019) repairs UTF-8 that was read as another encoding, unless it may be correct text.

Two or three characters that could be one of UTF-8 also stand side by side in correct texts, in capitals above all:
"AMANHÃ–DEPOIS" has a letter and a dash, where ftfy sees an Ö. Such a place is mended only where other places of the
text leave no doubt that it was misread.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from typing import Any

_LONG_LINE = 100_000  # ftfy is given longer lines in pieces, so that its memory and time stay those of a piece
# Characters of windows-1252 that begin a character of UTF-8, and what may go on with it though it is punctuation.
_SEQUENCE = re.compile(
    "[\u00c2-\u00df][\u2013\u2014“”‘’…«»®©™°ºª·•„‚‹›¹²³§ \u00a0]|[\u00e0-\u00ef][\u2013\u2014”’…»›]{2}"
)
_ALONE = frozenset(" \u00a0‚")  # behind a lone Â these are no sure signs
_QUOTED = frozenset(["“”", "””", "„“", "„”", "‘’", "’’", "«»", "»«"])  # around one letter
_WITHIN = frozenset("\u2013\u2014…’•· \u00a0")
_ACCENTED = re.compile(r"[^\W\d_\x00-\x7f]")
_BROKEN = re.compile("[\u00c2-\u00f4][\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]{1,3}")


def mend(text: str) -> str:
    """Return the text with its misread lines mended."""
    lines = text.split("\n")  # ftfy decides line by line
    doubtful: list[tuple[int, str]] = []
    sure = False
    for number, line in enumerate(lines):
        if not _suspicious().search(line):
            continue
        mended = _repair(line)
        if mended == line:
            continue
        if _may_be_correct(line, mended):
            doubtful.append((number, mended))
            lines[number] = _repair(line, encoding=False)
        else:
            sure = sure or _repair(line, encoding=False) != mended
            lines[number] = mended
    if sure:
        for number, mended in doubtful:
            lines[number] = mended
    return "\n".join(lines)


def _may_be_correct(line: str, mended: str) -> bool:
    """Whether the line differs from the mended one only where it may be right as it is."""
    if _speaks_of_it(line, mended):
        return True
    accents = _ACCENTED.search(_SEQUENCE.sub("", line)) is not None
    plain = _SEQUENCE.sub(functools.partial(_without_doubtful, accents=accents), line)
    return plain != line and _repair(plain) == _repair(plain, encoding=False)


def _without_doubtful(match: re.Match[str], accents: bool) -> str:
    """Return a plain letter for a sequence that may be what it looks like. accents: the line has other such letters."""
    line = match.string
    begin, end = match.span()
    before, behind = line[begin - 1 : begin], line[end : end + 1]
    lead, rest = match[0][0], match[0][1:]
    in_word = before.isupper() if lead.isupper() else before.islower()
    # the last letter of a word: IRMÃ”, CAMPEÃ®; within a word there can be a dash, or dots: AMANHÃ–DEPOIS, but AÃ‘OS
    if in_word and not behind.islower() and (rest[-1] in _WITHIN or not behind.isalnum()):
        return "x"
    if before + rest in _QUOTED:
        return "x"  # a letter that is spoken of
    if before.isalpha():
        return match[0]
    if _foreign(match[0]) and not _foreign(line[begin - 2 : begin]) and not _foreign(line[end : end + 2]):
        return "x"  # one letter of another script
    if rest in _ALONE and accents:
        return "x"  # a lone letter of a text that has others rightly
    return match[0]


def _foreign(sequence: str) -> bool:
    """Whether this is a letter of another script than Latin, read as windows-1252."""
    try:
        char = sequence.encode("cp1252").decode()
    except UnicodeError:
        return False
    return char.isalpha() and not unicodedata.name(char, "").startswith("LATIN")


def _speaks_of_it(line: str, mended: str) -> bool:
    """Whether a line shows misread characters beside the right ones, apart from words: a text on this very subject."""
    found = [match.span() for match in _BROKEN.finditer(line)]
    if not found or any(line[a - 1 : a].isalnum() or line[b : b + 1].isalnum() for a, b in found):
        return False
    new = Counter(mended) - Counter(line)
    return bool(new) and all(char in line for char in new)


@functools.cache
def _suspicious() -> re.Pattern[str]:
    """What a line has that ftfy can repair: a character that was several bytes of UTF-8 came out as as many characters.

    So two of them stand side by side, or the second is a blank that was byte A0; or a lone byte of Windows-1252 came
    out as a control character. Lines of English with curly quotes have none of it and need no ftfy (0.4 ms a page).
    """
    codecs = ("latin-1", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1257", "iso8859-2")  # A0 is a blank
    first = b"\xc2\xc3\xc5\xce\xd0\xd9\xe0\xe1\xe2\xe3\xf0"  # of sequences that A0 can be a part of
    leads = {bytes([byte]).decode(codec, "ignore") for byte in first for codec in codecs}
    return re.compile(f"[^\x00-\x7f]{{2}}|[{''.join(sorted(leads))}] |[\x80-\x9f\ud800-\udfff]")


def _repair(line: str, *, encoding: bool = True) -> str:
    import ftfy

    config = _ftfy_config(encoding)
    if len(line) <= _LONG_LINE:
        return ftfy.fix_text(line, config)
    pieces = (line[place : place + _LONG_LINE] for place in range(0, len(line), _LONG_LINE))
    return "".join(ftfy.fix_text(piece, config) for piece in pieces)


@functools.cache
def _ftfy_config(encoding: bool) -> Any:
    import ftfy

    # entities were resolved by the HTML parser and are text now ("&lt;" in a tutorial); curly quotes, ligatures and
    # full-width letters are how their authors write
    return ftfy.TextFixerConfig(
        unescape_html=False,
        uncurl_quotes=False,
        fix_encoding=encoding,
        fix_latin_ligatures=False,
        fix_character_width=False,
        fix_line_breaks=False,  # it would make two of \r\n, of which a line has the \r
        normalization=None,
        explain=False,
    )
