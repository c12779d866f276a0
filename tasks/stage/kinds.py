"""Kinds: what an artifact is, whichever stage made it. A stage's parameters are roles, their annotations kinds."""

from __future__ import annotations

from pathlib import Path

from data_lake.store.lake import Artifact

SHAPES_NO_RESULT = "says what artifacts are, and checks those that were made"


class Pages(Artifact):
    """Fetched pages: pages.parquet with a row per URL, and the bodies."""


class Documents(Artifact):
    """Texts: documents/ with a row per document (data_lake.tables.schemas.DOCUMENTS), removed/ with what was
    removed.
    """


class Corpus(Documents):
    """The documents to learn from and to measure on: each is held out or not."""


class Pairs(Corpus):
    """Pairs of texts: pairs.parquet with source, target and split, and each text as a document, for the tokenizer."""


class Preferences(Artifact):
    """Pairs of a better and a worse answer to one prompt: preferences.parquet."""


class ReferenceLogProbs(Artifact):
    """How likely a model found the answers of preference pairs: log_probs.parquet, a row for each pair."""


class TeacherLogits(Artifact):
    """What a model finds likeliest at each place of training text: windows.npy, ids.npy and log_probs.npy."""


class RewardModel(Artifact):
    """Weights with a head that scores an answer, and the tokenizer, in one self-contained folder."""


class Tokenizer(Artifact):
    """A vocabulary and the rule by which text is split (model.tokenizer)."""

    tables = ("bytes_per_token.json",)


class Tokens(Artifact):
    """Token shards train/, val/ and test/, and documents.parquet with the position of each document."""


class Model(Artifact):
    """Weights, shape and tokenizer in one self-contained folder."""


class Classifier(Artifact):
    """A network with a head that names a text's label: weights, labels and tokenizer in one self-contained folder."""


class Benchmarks(Artifact):
    """Items of benchmarks, read from their official files, and the rows that are none."""


class Export(Artifact):
    """A model in the formats of other programs, one folder for each format."""


class Questions(Artifact):
    """The questions for models: held-out texts, benchmark items, and facts about them that no model affects."""


class EncoderEvaluation(Artifact):
    """How well an encoder names hidden tokens: hidden.parquet with a row for each."""


class Index(Artifact):
    """The passages of a corpus, bm25/ by which questions find them, and questions.parquet by which it was measured."""


class Asked(Artifact):
    """What one model answered to questions about held-out pages, with the pages before it: answers.parquet."""


class Judgement(Artifact):
    """What a judge says of one model's answers: results.json, and judgements.parquet with a row for each."""


class Memorisation(Artifact):
    """Which passages of its training text a model repeats word for word: passages.parquet."""


class Evaluation(Artifact):
    """The results of one model: results.json, the scores of every item, and a page for people."""

    report = "report.html"


def report_of(artifact: Artifact) -> Path | None:
    """Return the page for people that an artifact of such a kind has; None if it has none."""
    name = getattr(globals().get(artifact.manifest.kind), "report", None)
    return artifact.path / name if name in artifact.files else None
