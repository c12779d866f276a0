"""Facts about scripts and languages: where word-based rules apply, and which language a script reveals.

The published thresholds of Gopher, C4 and FineWeb were found on English text. If a rule relies on something that a
script does not have (spaces between words, marks at the end of sentences), it is not applied to text in that script.
This module alone decides that.
"""

from __future__ import annotations

import functools

import numpy as np

# Rules that rely on spaces between words. They are not applied to a text in which half of the words or more are single
# characters (data_lake.text.units).
NEEDS_SPACES = frozenset(
    [
        "gopher_quality.word_length",  # a word is one character there
        "c4.min_words_per_line",  # C4's code splits words at spaces
        "c4.max_word_length",
        "fineweb.short_lines",  # 30 Chinese characters are some 15 words; FineWeb 2 switches the rule off as well
        "fineweb.newlines_per_word",
    ]
)

# Languages whose words are longer or shorter than Gopher's 3 to 10 characters, which fit English. The mean lengths in
# the translations of the Universal Declaration are 2.9 for Korean, 1.8 for Vai, 11.8 for Malayalam, 14.6 for
# Greenlandic.
WORD_LENGTH_DIFFERS = frozenset(["ko", "vai", "bo", "dz", "ml", "ta", "te", "kn", "kl", "iu"])

# Languages to which rules on sentence-ending marks are not applied: Thai and Lao end a sentence with a space, Tibetan
# and Dzongkha write a shad after clauses, headings and list items alike.
NO_SENTENCE_MARKS = frozenset(["th", "lo", "bo", "dz"])

# Stop words of Gopher's rule, by language. The paper has them for English only (§ A.1.1).
STOP_WORDS = {"en": ("the", "be", "to", "of", "and", "that", "have", "with")}

# Characters per word in scripts where each character counts as a word. An n-gram of Gopher's repetition table is n
# words, so in these scripts it is n times this many characters. Means of segmented text: Chinese 1.6 to 1.8,
# Japanese 2, Thai and Lao 4, Khmer and Burmese 4 to 5, Tibetan 4 to 5; rounded up, because a longer n-gram removes
# less.
_WORD_CHARACTERS = (
    (0x0E00, 0x0E7F, 4),  # Thai
    (0x0E80, 0x0EFF, 4),  # Lao
    (0x0F00, 0x0FFF, 5),  # Tibetan
    (0x1000, 0x109F, 5),  # Myanmar
    (0x1780, 0x17FF, 5),  # Khmer
)
_WORD_CHARACTERS_ELSEWHERE = 2  # Han, Kana, Yi

# Scripts used by only one living language, or mostly by one: block of code points, language (ISO 639).
_ONE_LANGUAGE = (
    (0x0370, 0x03FF, "el"),
    (0x0530, 0x058F, "hy"),
    (0x0700, 0x074F, "syr"),
    (0x0780, 0x07BF, "dv"),
    (0x0A00, 0x0A7F, "pa"),
    (0x0A80, 0x0AFF, "gu"),
    (0x0B00, 0x0B7F, "or"),
    (0x0B80, 0x0BFF, "ta"),
    (0x0C00, 0x0C7F, "te"),
    (0x0C80, 0x0CFF, "kn"),
    (0x0D00, 0x0D7F, "ml"),
    (0x0D80, 0x0DFF, "si"),
    (0x0E00, 0x0E7F, "th"),
    (0x0E80, 0x0EFF, "lo"),
    (0x1000, 0x109F, "my"),
    (0x10A0, 0x10FF, "ka"),
    (0x1100, 0x11FF, "ko"),
    (0x13A0, 0x13FF, "chr"),
    (0x1780, 0x17FF, "km"),
    (0x1800, 0x18AF, "mn"),
    (0x1F00, 0x1FFF, "el"),
    (0x2D30, 0x2D7F, "zgh"),
    (0x3040, 0x30FF, "ja"),
    (0xA000, 0xA4CF, "ii"),
    (0xA500, 0xA63F, "vai"),
    (0xAC00, 0xD7AF, "ko"),
)


def words_per_ngram(points: np.ndarray) -> int:
    """Return how many single-character words make up one word, in a text of a script without spaces.

    points: uint32[n], one code point per word. The script of the majority decides.
    """
    counts: dict[int, int] = {}
    for first, last, size in _WORD_CHARACTERS:
        counts[size] = counts.get(size, 0) + int(((points >= first) & (points <= last)).sum())
    size, count = max(counts.items(), key=lambda item: (item[1], -item[0]))
    return size if count * 2 >= len(points) else _WORD_CHARACTERS_ELSEWHERE


def language_of_script(text: str) -> tuple[str, float] | None:
    """Return (language, share of the letters) if the text's script is used by one language only, else None.

    Japanese is recognised by its kana: if they are a tenth of the letters, Chinese characters count as Japanese too.
    """
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    from data_lake.text.units import LETTER, SINGLE, character_classes

    kinds = character_classes()[points]
    letters = points[(kinds == LETTER) | (kinds == SINGLE)]
    if not len(letters):
        return None
    firsts, lasts, names = _blocks()
    place = np.searchsorted(firsts, letters, side="right") - 1
    inside = (place >= 0) & (letters <= lasts[place])
    counts = np.bincount(place[inside], minlength=len(names))
    shares: dict[str, float] = {}
    for name, count in zip(names, counts.tolist(), strict=True):
        shares[name] = shares.get(name, 0.0) + count / len(letters)
    han = float(((letters >= 0x3400) & (letters <= 0x9FFF)).sum()) / len(letters)
    if shares["ja"] >= 0.1 and han + shares["ja"] > 0.5:
        return "ja", han + shares["ja"]
    language, share = max(shares.items(), key=lambda item: (item[1], item[0]))
    return (language, share) if share >= 0.5 else None


@functools.cache
def _blocks() -> tuple[np.ndarray, np.ndarray, list[str]]:
    firsts, lasts, names = zip(*_ONE_LANGUAGE, strict=True)
    return np.array(firsts, np.uint32), np.array(lasts, np.uint32), list(names)


@functools.cache
def sentence_ends() -> frozenset[str]:
    """Return the characters that end a sentence: Unicode's property Sentence_Terminal."""
    import regex

    everything = "".join(chr(point) for point in range(0x20000) if not 0xD800 <= point < 0xE000)
    return frozenset(regex.findall(r"\p{Sentence_Terminal}", everything))
