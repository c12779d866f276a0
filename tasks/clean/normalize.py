"""Text repair: mojibake, composed characters, and whitespace that means lines, columns and nothing else."""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Any

from tasks.clean.config import CleanConfig

_NEWLINES = re.compile(r"\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_BLANKS = re.compile(r"[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\x1f]")  # Zs without the plain blank
# Control characters, zero-width blanks, soft hyphens, marks of byte order, lone surrogates, noncharacters. Zero-width
# joiners stay: Persian, Hindi and emoji are spelled with them.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200b\u2060\ufeff\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
_CELLS = re.compile(r"(?<=\S)[ ]*\t[ \t]*(?=\S)")  # between two cells of a table
_TRAILING = re.compile(r"[ \t]+$", re.M)
_BLANK_LINES = re.compile(r"\n{3,}")


def normalize(text: str, config: CleanConfig) -> str:
    """Return the text repaired: ftfy (Speer 2019) where asked for, NFC, one kind of newline and of blank.

    Lines keep their indentation, which is meaning in code and lists; more than one blank line becomes one.
    """
    text = _NEWLINES.sub("\n", text)
    if config.repair and not text.isascii():
        # ftfy decides line by line, and leaves ASCII and lone no-break blanks as they are: it is given the other lines
        lines = text.split("\n")
        text = "\n".join(line if line.replace("\xa0", " ").isascii() else _repair(line) for line in lines)
    for pattern, replacement in config.replace:
        text = re.sub(pattern, replacement, text)
    text = unicodedata.normalize("NFC", _INVISIBLE.sub("", text))
    text = _NEWLINES.sub("\n", _BLANKS.sub(" ", text))
    text = _TRAILING.sub("", _CELLS.sub("\t", text))
    return _BLANK_LINES.sub("\n\n", text).strip("\n")


def _repair(line: str) -> str:
    import ftfy

    return ftfy.fix_text(line, _ftfy_config())


@functools.cache
def _ftfy_config() -> Any:
    import ftfy

    # entities were resolved by the HTML parser and are text now ("&lt;" in a tutorial); curly quotes, ligatures and
    # full-width letters are how their authors write
    return ftfy.TextFixerConfig(
        unescape_html=False,
        uncurl_quotes=False,
        fix_latin_ligatures=False,
        fix_character_width=False,
        normalization=None,
        explain=False,
    )
