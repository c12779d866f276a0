"""C4's filter: removes lines that are not sentences, and pages of placeholder text or code."""

from __future__ import annotations

import functools
import re
from typing import ClassVar

from tasks.corpus.clean.analysis import Analysis
from tasks.corpus.clean.filter_config import C4Config
from tasks.corpus.clean.filters.base import Filter, Removal
from tasks.corpus.clean.scripts import sentence_ends

_CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
_POLICY = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)
_QUOTES = "\"'”’»」』)）"
_ASCII_END = re.compile(r"[.!?]+[\"')]*(?=\s|$)")


class C4(Filter):
    """The rules of C4: Raffel et al. 2020, arXiv:1910.10683, § 2.2; order and word lists follow its published code.

    Sentences are counted by the marks that end them, in any script; C4's code uses NLTK's English splitter. C4's list
    of bad words is a separate filter here, `bad_words`.
    """

    name: ClassVar[str] = "c4"
    config: C4Config

    def apply(self, page: Analysis) -> Removal | str | None:
        """Return the text of the lines that are kept, or why the page is removed."""
        config = self.config
        kept: list[str] = []
        sentences = 0
        ends = sentence_ends() | set(_QUOTES)
        marked = page.marks_sentences
        for line in page.text.split("\n"):
            line = line.strip()
            if page.spaced:
                pieces = line.split()
                if len(line) > config.max_word_length and max(map(len, pieces)) > config.max_word_length:
                    continue
                few = len(pieces) < config.min_words_per_line
            else:
                few = not line
            if config.citations and "[" in line:
                line = _CITATION.sub("", line)
            if config.terminal_punctuation and marked and (line[-1:] not in ends or line.endswith(("...", "…"))):
                continue
            if few:
                continue
            lower = line.lower()
            if config.lorem_ipsum and "lorem ipsum" in lower:
                return Removal(self.name, 1.0, 0.0, "lorem_ipsum")
            if config.javascript_lines and "javascript" in lower:
                continue
            if config.curly_bracket and "{" in line:
                return Removal(self.name, float(line.count("{")), 0.0, "curly_bracket")
            if config.policy_lines and any(phrase in lower for phrase in _POLICY):
                continue
            if marked and sentences < config.min_sentences:  # further sentences do not change the result
                # text after the last mark, up to the end of the line, is a sentence as well
                pattern = _ASCII_END if line.isascii() else _sentence_end()
                sentences += len(pattern.findall(line)) + (line[-1:] not in ends)
            kept.append(line)
        if marked and sentences < config.min_sentences:
            return Removal(self.name, float(sentences), float(config.min_sentences), "min_sentences")
        text = "\n".join(kept)
        return text if text != page.text else None


@functools.cache
def _sentence_end() -> re.Pattern[str]:
    """Return the pattern of marks, closing quotes, and whitespace or the end; full-width marks need no whitespace."""
    marks = re.escape("".join(sorted(sentence_ends())))
    wide = re.escape("".join(sorted(mark for mark in sentence_ends() if ord(mark) > 0x2FFF)))
    quotes = re.escape(_QUOTES)
    return re.compile(f"[{wide}]+[{quotes}]*|[{marks}]+[{quotes}]*(?=\\s|$)")
