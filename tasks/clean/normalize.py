"""Text repair and normalisation: mojibake, composed characters, whitespace, emoji, and the user's replacements."""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Any

from tasks.clean.config import CleanConfig
from tasks.clean.text_config import NormalizeConfig
from tasks.clean.user_files import lines
from tasks.clean.word_lists import WordList

_NEWLINES = re.compile(r"\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_BLANKS = re.compile(r"[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\x1f]")  # Zs without the plain blank
# Control characters, zero-width blanks, soft hyphens, marks of byte order, lone surrogates, noncharacters. Zero-width
# joiners stay: Persian, Hindi and emoji are spelled with them.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200b\u2060\ufeff\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
_SURROGATES = re.compile("[\ud800-\udfff]")
_CELLS = re.compile(r"(?<=\S)[ ]*+\t[ \t]*+(?=\S)")  # between two cells of a table
_TRAILING = re.compile(r"(?<![ \t])[ \t]+$", re.M)
_BLANK_LINES = re.compile(r"\n{3,}")
# What emoji are made of, so that texts without any are not searched: signs of the BMP, the emoji planes, key caps.
_MAYBE_EMOJI = re.compile("[\u00a9\u00ae\u203c-\u3299\ufe0f\U0001f000-\U0001faff]")
_LONG_LINE = 100_000  # ftfy is given longer lines in pieces, so that its memory and time stay those of a piece


def normalize(text: str, config: CleanConfig) -> str:
    """Return the text repaired: ftfy (Speer 2019), the recipe's replacements, NFC, one kind of newline and of blank.

    Lines keep their indentation, which is meaning in code and lists; more than one blank line becomes one. Lone
    surrogates, which no file can hold, go in any case.
    """
    switches = config.normalize
    if switches.whitespace:
        text = _NEWLINES.sub("\n", text)
    if switches.repair and not text.isascii():
        pieces = text.split("\n")  # ftfy decides line by line
        text = "\n".join(_repair(line) if _suspicious().search(line) else line for line in pieces)
    for pattern, replacement in config.replace:
        text = re.sub(pattern, replacement, text)
    text = _SURROGATES.sub("", text)
    if switches.whitespace:
        text = _INVISIBLE.sub("", text)
    if switches.compose:
        text = unicodedata.normalize("NFC", text)
    if switches.emoji != "keep" and not text.isascii() and _MAYBE_EMOJI.search(text):
        text = _replace_emoji(text, named=switches.emoji == "text")
    if switches.whitespace:
        text = _NEWLINES.sub("\n", _BLANKS.sub(" ", text))
        text = _TRAILING.sub("", _CELLS.sub("\t", text))
        text = _BLANK_LINES.sub("\n\n", text).strip("\n")
    if switches.lowercase:
        text = text.lower()
        if switches.compose:
            text = unicodedata.normalize("NFC", text)
    return text


class SensitiveWords:
    """Replaces the words of a user's list (names of a company's clients, say)."""

    def __init__(self, config: NormalizeConfig) -> None:
        self._replacement = config.sensitive_replacement
        entries = [*config.sensitive_words, *lines(config.sensitive_files, "clean.normalize.sensitive_files")]
        self._list = WordList(entries)

    def replace(self, text: str) -> tuple[str, int]:
        """Return the text without such words, and how many there were."""
        return self._list.replace(text, self._replacement) if self._list else (text, 0)


def _replace_emoji(text: str, *, named: bool) -> str:
    """Return the text with emoji as their names between colons, or without them.

    What Unicode shows as text where nothing asks for a picture (©, ™, ↔) is text.
    """
    import emoji

    def replacement(characters: str, about: dict[str, str]) -> str:
        if about["status"] == emoji.STATUS["unqualified"]:
            return characters
        return about["en"] if named else ""

    return emoji.replace_emoji(text, replacement)


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


def _repair(line: str) -> str:
    import ftfy

    if len(line) <= _LONG_LINE:
        return ftfy.fix_text(line, _ftfy_config())
    return "".join(
        ftfy.fix_text(line[place : place + _LONG_LINE], _ftfy_config()) for place in range(0, len(line), _LONG_LINE)
    )


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
        fix_line_breaks=False,  # it would make two of \r\n, of which a line has the \r
        normalization=None,
        explain=False,
    )
