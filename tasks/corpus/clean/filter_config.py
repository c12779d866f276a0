"""The config of clean's filters: which are on, in which order, and their published thresholds."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from tasks.stage.columns import Label
from tasks.stage.config import Reference, StageConfig
from tasks.stage.patterns import Regex

FILTERS = (
    "url_list",
    "length",
    "error_page",
    "not_text",
    "language",
    "bad_words",
    "gopher_quality",
    "gopher_repetition",
    "c4",
    "fineweb",
    "classifier",
)
"""The names of all filters, in the order in which they are applied; each is a class in tasks.corpus.clean.filters."""

Fraction = tuple[int, float]


class LengthConfig(StageConfig):
    """Documents without text, and documents that are too long for training."""

    min_characters: int = Field(1, ge=0, description="texts with fewer characters are removed")
    max_characters: int = Field(10_000_000, ge=1, description="texts with more characters are removed")


class ErrorPageConfig(StageConfig):
    """Pages that are error messages although their status was 200."""

    titles: tuple[Regex, ...] = Field(
        (
            r"(?i)^\W*(error\W*)?(40[0134]|410|50[0234])\b",
            r"(?i)\b(page|file|article) (was )?not found\b",
            r"(?i)^\W*(access denied|forbidden|not found|bad gateway|service unavailable|just a moment)\b",
        ),
        description="regexes; a page whose title matches one of them is removed",
    )


class NotTextConfig(StageConfig):
    """Bytes that were decoded but are not text."""

    max_unprintable: float = Field(
        0.01, ge=0, le=1, description="share of characters that are not text: control, unassigned, U+FFFD"
    )


class LanguageConfig(StageConfig):
    """Languages to keep. FineWeb (arXiv:2406.17557 § 3.3) keeps English from a score of 0.65."""

    allowed: tuple[str, ...] = Field((), description="language codes to keep (ISO 639: en, zh, …); empty = all")
    min_score: float = Field(
        0.65, ge=0, le=1, description="share of the text that must be in one of the allowed languages"
    )


class WordListConfig(StageConfig):
    """Bad words, from the user's own lists (as C4, arXiv:1910.10683 § 2.2, does with one list for English)."""

    words: tuple[str, ...] = Field((), description="words or phrases; a document that has one of them is removed")
    files: tuple[str, ...] = Field((), description="files with more of them, one per line (globs)")
    min_count: int = Field(1, ge=1, description="occurrences from which a document is removed")


class UrlListConfig(StageConfig):
    """Pages whose URL is unwanted, by the user's own lists."""

    hosts: tuple[str, ...] = Field((), description="hosts to leave out, with their subdomains")
    patterns: tuple[Regex, ...] = Field((), description="regexes; a URL that matches one anywhere is left out")
    files: tuple[str, ...] = Field(
        (), description="files with one host or URL per line; a URL includes its subpages (globs)"
    )


class GopherQualityConfig(StageConfig):
    """Gopher's quality rules: Rae et al. 2021, arXiv:2112.11446, § A.1.1."""

    min_words: int = Field(50, ge=0, description="documents with fewer words are removed")
    max_words: int = Field(100_000, ge=1, description="documents with more words are removed")
    min_word_length: float = Field(3.0, ge=0, description="smallest mean number of characters per word")
    max_word_length: float = Field(10.0, ge=1, description="largest mean number of characters per word")
    max_symbol_ratio: float = Field(0.1, ge=0, description="largest number of hash signs, or of ellipses, per word")
    max_bullet_lines: float = Field(0.9, ge=0, le=1, description="largest share of lines that begin with a bullet")
    max_ellipsis_lines: float = Field(0.3, ge=0, le=1, description="largest share of lines that end in an ellipsis")
    min_letter_words: float = Field(0.8, ge=0, le=1, description="smallest share of words with a letter")
    min_stop_words: int = Field(
        2, ge=0, description="smallest number of different stop words; only for languages that have a table (English)"
    )


class GopherRepetitionConfig(StageConfig):
    """Gopher's limits on repetition within a document: Rae et al. 2021, arXiv:2112.11446, table A1."""

    max_lines: float = Field(
        0.30, ge=0, le=1, description="largest share of lines that repeat an earlier line of the document"
    )
    max_line_characters: float = Field(0.20, ge=0, le=1, description="largest share of characters in such lines")
    max_paragraphs: float = Field(
        0.30, ge=0, le=1, description="largest share of paragraphs that repeat an earlier one"
    )
    max_paragraph_characters: float = Field(
        0.20, ge=0, le=1, description="largest share of characters in such paragraphs"
    )
    top_ngrams: tuple[Fraction, ...] = Field(
        ((2, 0.20), (3, 0.18), (4, 0.16)),
        description="pairs of n and the largest share of characters in the most frequent n-gram",
    )
    repeated_ngrams: tuple[Fraction, ...] = Field(
        ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)),
        description="pairs of n and the largest share of characters in repeated n-grams",
    )


class C4Config(StageConfig):
    """The rules of C4: Raffel et al. 2020, arXiv:1910.10683, § 2.2, and its published code."""

    terminal_punctuation: bool = Field(True, description="remove lines that do not end in sentence-ending punctuation")
    min_words_per_line: int = Field(3, ge=0, description="remove lines with fewer words")
    max_word_length: int = Field(1000, ge=1, description="remove lines with a longer word")
    javascript_lines: bool = Field(True, description="remove lines with the word javascript")
    policy_lines: bool = Field(True, description="remove lines about cookies, privacy policy and terms of use")
    citations: bool = Field(True, description="remove Wikipedia's [1], [edit] and [citation needed]")
    lorem_ipsum: bool = Field(True, description="remove documents with lorem ipsum")
    curly_bracket: bool = Field(True, description="remove documents with a curly bracket, which are mostly code")
    min_sentences: int = Field(5, ge=0, description="smallest number of sentences that must be left")


class FineWebConfig(StageConfig):
    """FineWeb's own three filters: Penedo et al. 2024, arXiv:2406.17557, § 3.6, and the list rule of its code."""

    min_punctuated_lines: float = Field(
        0.12, ge=0, le=1, description="smallest share of lines that end in sentence-ending punctuation"
    )
    max_short_lines: float = Field(0.67, ge=0, le=1, description="largest share of short lines (see short_line)")
    short_line: int = Field(30, ge=0, description="a line with at most so many characters is short")
    max_repeated_characters: float = Field(
        0.1, ge=0, le=1, description="largest share of characters in repeated lines (FineWeb's code: 0.01)"
    )
    max_newlines_per_word: float = Field(0.3, ge=0, description="largest number of line breaks per word")


class BoilerplateConfig(StageConfig):
    """Lines that a site repeats from page to page: menus, banners, footers that extraction took for text."""

    max_page_share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="lines on more than this share of a host's pages are removed; 1 = none (0.3 is usual)",
    )
    min_pages: int = Field(5, ge=2, description="and only if they are on at least so many pages of the host")


class ClassifierConfig(StageConfig):
    """A classifier of texts: toxicity, bias, or 'like my good data'.

    It is either trained from labelled examples while clean runs, which is a linear one and fast, or a network that the
    stage `classify` trained.
    """

    name: str = Field(
        "quality", pattern=r"^[a-z][a-z0-9_]*$", description="its name, which is also the reason for what it removes"
    )
    trained_by: str = Reference(
        description="an artifact of classify (stage/key), whose network is asked; empty = trained from the examples"
    )
    label: Label = Field("", description="label of that network whose probability is meant")
    windows: int = Field(
        1,
        ge=1,
        description="largest number of pieces of a page that the network reads, spread evenly, each as long as it was "
        "trained for; the probability is the mean of theirs; 1 = the page's beginning",
    )
    labelled: tuple[str, ...] = Field((), description="jsonl files of examples with text and label (globs)")
    text_field: str = Field("text", description="field of the text in labelled files")
    label_field: str = Field("label", description="field of the label in labelled files")
    positive_labels: tuple[str, ...] = Field(("1", "true", "positive"), description="labels that count as positive")
    positive: tuple[str, ...] = Field((), description="files of positive examples: txt (one per file) or jsonl (globs)")
    negative: tuple[str, ...] = Field((), description="files of negative examples (globs)")
    remove_above: float | None = Field(
        None, ge=0, le=1, description="remove documents with at least this probability (toxicity)"
    )
    remove_below: float | None = Field(
        None, ge=0, le=1, description="remove documents below this probability (quality)"
    )
    ngram: int = Field(2, ge=1, le=5, description="largest number of words per feature")
    buckets: int = Field(1 << 18, ge=1 << 10, le=1 << 26, description="weights; features are hashed into them")
    epochs: int = Field(5, ge=1, le=1000, description="passes over the examples")
    learning_rate: float = Field(2.0, gt=0, description="initial step size of stochastic gradient descent")
    l2: float = Field(1e-6, ge=0, description="L2 regularisation of the weights")
    held_out: float = Field(
        0.1, gt=0, lt=1, description="share of the examples that are only used to measure the classifier"
    )
    max_words: int = Field(2_000, ge=10, description="words at the beginning of a text that are used")

    @model_validator(mode="after")
    def _is_trained_somehow(self) -> Self:
        some = bool(self.labelled or self.positive or self.negative)
        if self.trained_by:
            if some:
                raise ValueError(f"the classifier {self.name!r} is trained by {self.trained_by}; it takes no examples")
            if not self.label:
                raise ValueError(
                    f"the classifier {self.name!r} needs the label of {self.trained_by} whose probability is meant"
                )
        elif not self.labelled and not (self.positive and self.negative):
            raise ValueError(
                f"the classifier {self.name!r} has no examples: set labelled, or both positive and negative, or name "
                "an artifact of classify in trained_by"
            )
        elif self.label:
            raise ValueError(
                f"the classifier {self.name!r} is trained from examples; label is of one that trained_by names, and "
                "positive_labels says which of the examples' labels are meant"
            )
        return self


class FilterConfig(StageConfig):
    """Which filters are applied, and their limits."""

    use: tuple[str, ...] = Field(
        tuple(name for name in FILTERS if name != "c4"),
        description="names of the filters that are on; c4 is not, as its rules remove every page with code",
    )
    length: LengthConfig = Field(LengthConfig(), description="pages with no text or too much of it")
    error_page: ErrorPageConfig = Field(ErrorPageConfig(), description="error pages served with status 200")
    not_text: NotTextConfig = Field(NotTextConfig(), description="binary data")
    language: LanguageConfig = Field(LanguageConfig(), description="languages to keep")
    bad_words: WordListConfig = Field(WordListConfig(), description="bad words")
    url_list: UrlListConfig = Field(UrlListConfig(), description="unwanted hosts and URLs")
    gopher_quality: GopherQualityConfig = Field(GopherQualityConfig(), description="Gopher's quality rules")
    gopher_repetition: GopherRepetitionConfig = Field(GopherRepetitionConfig(), description="repetition in a document")
    c4: C4Config = Field(C4Config(), description="C4's rules")
    fineweb: FineWebConfig = Field(FineWebConfig(), description="FineWeb's own filters")
    boilerplate: BoilerplateConfig = Field(BoilerplateConfig(), description="lines that a site repeats")
    classifiers: tuple[ClassifierConfig, ...] = Field(
        (),
        description="classifiers to train, or networks that classify trained; one named quality fills the column "
        "quality of documents",
    )

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        for name in self.use:
            if name not in FILTERS:
                raise ValueError(f"{name!r} is not a filter; the filters are {', '.join(FILTERS)}")
        names = [classifier.name for classifier in self.classifiers]
        if len(set(names)) < len(names) or set(names) & set(FILTERS):
            raise ValueError(
                f"the names of classifiers, {', '.join(names)}, must differ from each other and from filters"
            )
        return self
