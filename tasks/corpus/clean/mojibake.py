"""Mojibake: ftfy (Speer 2019) repairs UTF-8 that was read as another encoding, unless it may be correct text.

Two or three adjacent characters that look like one misread UTF-8 character also occur in correct texts, above all in
capitals: "AMANHÃ–DEPOIS" has a letter and a dash, but ftfy sees an Ö. Such a place is repaired only if other places in
the text leave no doubt that it was misread.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from typing import Any

_LONG_LINE = 100_000  # ftfy gets longer lines in pieces, which bounds its memory and time
# Windows-1252 characters that begin a UTF-8 sequence, and punctuation that may be the rest of the sequence.
_SEQUENCE = re.compile(
    "[\u00c2-\u00df][\u2013\u2014“”‘’…«»®©™°ºª·•„‚‹›¹²³§ \u00a0]|[\u00e0-\u00ef][\u2013\u2014”’…»›]{2}"
)
_ALONE = frozenset(" \u00a0‚")  # after a lone Â these are not reliable signs
_QUOTED = frozenset(["“”", "””", "„“", "„”", "‘’", "’’", "«»", "»«"])  # around one letter
_WITHIN = frozenset("\u2013\u2014…’•· \u00a0")
_ACCENTED = re.compile(r"[^\W\d_\x00-\x7f]")
_BROKEN = re.compile("[\u00c2-\u00f4][\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]{1,3}")


def mend(text: str) -> str:
    """Return the text with its misread lines repaired."""
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
    """Whether all differences between the line and its repaired form are at places that may be correct as they are."""
    if _speaks_of_it(line, mended):
        return True
    accents = _ACCENTED.search(_SEQUENCE.sub("", line)) is not None
    plain = _SEQUENCE.sub(functools.partial(_without_doubtful, accents=accents), line)
    return plain != line and _repair(plain) == _repair(plain, encoding=False)


def _without_doubtful(match: re.Match[str], accents: bool) -> str:
    """Return a plain letter for a sequence that may be correct as it is. accents: the line has other accents."""
    line = match.string
    begin, end = match.span()
    before, behind = line[begin - 1 : begin], line[end : end + 1]
    lead, rest = match[0][0], match[0][1:]
    in_word = before.isupper() if lead.isupper() else before.islower()
    # the last letter of a word: IRMÃ”, CAMPEÃ®; within words only a dash or dots may be right: AMANHÃ–DEPOIS, not AÃ‘OS
    if in_word and not behind.islower() and (rest[-1] in _WITHIN or not behind.isalnum()):
        return "x"
    if before + rest in _QUOTED:
        return "x"  # a letter in quotation marks
    if before.isalpha():
        return match[0]
    if _foreign(match[0]) and not _foreign(line[begin - 2 : begin]) and not _foreign(line[end : end + 2]):
        return "x"  # a single letter of another script
    if rest in _ALONE and accents:
        return "x"  # a lone accented letter in a line that has others, correctly
    return match[0]


def _foreign(sequence: str) -> bool:
    """Whether this is a letter of a script other than Latin that was read as windows-1252."""
    try:
        char = sequence.encode("cp1252").decode()
    except UnicodeError:
        return False
    return char.isalpha() and not unicodedata.name(char, "").startswith("LATIN")


def _speaks_of_it(line: str, mended: str) -> bool:
    """Whether a line shows misread characters outside words, next to the right ones: a text about mojibake itself."""
    found = [match.span() for match in _BROKEN.finditer(line)]
    if not found or any(line[a - 1 : a].isalnum() or line[b : b + 1].isalnum() for a, b in found):
        return False
    new = Counter(mended) - Counter(line)
    return bool(new) and all(char in line for char in new)


@functools.cache
def _suspicious() -> re.Pattern[str]:
    """Return the pattern of what ftfy can repair: each byte of a multi-byte UTF-8 character became a character.

    So two non-ASCII characters are adjacent, or the second is a space that was byte A0; or a lone byte of Windows-1252
    became a control character. English lines with curly quotes match nothing and do not need ftfy (0.4 ms per page).
    """
    codecs = ("latin-1", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1257", "iso8859-2")  # A0 is a space
    first = b"\xc2\xc3\xc5\xce\xd0\xd9\xe0\xe1\xe2\xe3\xf0"  # of sequences that can contain A0
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

    # the HTML parser has resolved entities, so any left are text ("&lt;" in a tutorial); curly quotes, ligatures and
    # full-width letters are what the authors wrote
    return ftfy.TextFixerConfig(
        unescape_html=False,
        uncurl_quotes=False,
        fix_encoding=encoding,
        fix_latin_ligatures=False,
        fix_character_width=False,
        fix_line_breaks=False,  # it would make two line breaks of \r\n, as lines here still end in the \r
        normalization=None,
        explain=False,
    )
