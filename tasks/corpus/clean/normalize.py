"""Text repair and normalisation: mojibake, composed characters, whitespace, emoji, and the user's replacements."""

from __future__ import annotations

import re
import unicodedata

from tasks.corpus.clean.config import CleanConfig
from tasks.corpus.clean.mojibake import mend
from tasks.corpus.clean.text_config import NormalizeConfig
from tasks.corpus.clean.user_files import lines
from tasks.corpus.clean.word_lists import WordList

_NEWLINES = re.compile(r"\r\n?|[\x0b\x0c\x1c-\x1e\u2028\u2029]")
_NEXT_LINE = "\x85"  # Unicode's next line; but on the web it is usually the … of windows-1252, misread
# Terminal codes for colours, cursor movement, titles and links (ECMA-48). Removing only the escape character would
# leave the rest of the code in the text.
_TERMINAL = re.compile(
    "\x1b\\[[0-?]{0,64}[ -/]{0,8}[@-~]|"
    "\x1b[\\]PX^_][^\x07\x1b\n]{0,2000}(?:\x07|\x1b\\\\)|"
    "\x1b[()*+#%][0-9A-Za-z@]|\x1b[=>78]"
)
_BLANKS = re.compile(r"[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\x1f]")  # Zs without the plain space, and U+001F
# Control characters, word joiners, soft hyphens, byte order marks, lone surrogates, noncharacters. Zero-width joiners
# stay, because Persian, Hindi and emoji are spelled with them.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u2060\ufeff\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
# Scripts written without spaces, in which a zero-width space marks the end of a word: Thai, Lao, Tibetan, Burmese,
# Khmer, Tai Le and Lue, Tai Tham, Tai Viet, Javanese, Balinese.
_UNSPACED = "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aaf\u1b00-\u1b7f\ua980-\ua9ff\uaa60-\uaadf"
_ZERO_WIDTH = re.compile(
    rf"(?:(?<=[{_UNSPACED}])(\u200b)\u200b*+(?=\S)|(?<=\S)(\u200b)\u200b*+(?=[{_UNSPACED}])|\u200b++)"
)
_SURROGATES = re.compile("[\ud800-\udfff]")
_CELLS = re.compile(r"(?<=\S)[ ]*+\t[ \t]*+(?=\S)")  # between two cells of a table
_TRAILING = re.compile(r"(?<![ \t])[ \t]+$", re.M)
_BLANK_LINES = re.compile(r"\n{3,}")
# Characters that emoji consist of, so that texts without them are not searched: BMP symbols, emoji planes, keycaps.
_MAYBE_EMOJI = re.compile("[\u00a9\u00ae\u203c-\u3299\ufe0f\U0001f000-\U0001faff]")


def normalize(text: str, config: CleanConfig) -> str:
    """Return the text repaired: ftfy (Speer 2019), the recipe's replacements, NFC, one kind of newline and of space.

    Lines keep their indentation, which has a meaning in code and lists; several blank lines become one. Lone
    surrogates, which no file can hold, are always removed.
    """
    switches = config.normalize
    if switches.whitespace:
        if "\x1b" in text:
            text = _TERMINAL.sub("", text)
        text = _NEWLINES.sub("\n", text if switches.repair else text.replace(_NEXT_LINE, "\n"))
    if switches.repair and not text.isascii():
        text = mend(text)
    for pattern, replacement in config.replace:
        text = re.sub(pattern, replacement, text)
    text = _SURROGATES.sub("", text)
    if switches.whitespace:
        text = _INVISIBLE.sub("", text)
        if "\u200b" in text:
            text = _ZERO_WIDTH.sub(lambda found: found[1] or found[2] or "", text)
    if switches.compose:
        text = unicodedata.normalize("NFC", text)
    if switches.emoji != "keep" and not text.isascii() and _MAYBE_EMOJI.search(text):
        text = _replace_emoji(text, named=switches.emoji == "text")
    if switches.whitespace:
        text = _NEWLINES.sub("\n", _BLANKS.sub(" ", text.replace(_NEXT_LINE, "\n")))
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
        """Return the text with such words replaced, and how many there were."""
        return self._list.replace(text, self._replacement) if self._list else (text, 0)


def _replace_emoji(text: str, *, named: bool) -> str:
    """Return the text with emoji replaced by their names between colons, or removed.

    Characters that Unicode displays as text by default (©, ™, ↔) are left as they are.
    """
    import emoji

    def replacement(characters: str, about: dict[str, str]) -> str:
        if about["status"] == emoji.STATUS["unqualified"]:
            return characters
        return about["en"] if named else ""

    return emoji.replace_emoji(text, replacement)
