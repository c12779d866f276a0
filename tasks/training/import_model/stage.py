"""The import_model stage: reads a Hugging Face folder, checks it, and writes it as a model like any other."""

from __future__ import annotations

from collections.abc import Iterator

from model.huggingface.folder import files_read
from tasks.corpus.crawl.fingerprints import fingerprint_files
from tasks.stage import Artifact, Output, PermanentError, kinds, stage
from tasks.stage.file_patterns import as_text
from tasks.training.import_model.config import ImportConfig
from tasks.training.import_model.preflight import check
from tasks.training.import_model.shape import imported_shape
from tasks.training.written import whole_model, write_model


def sources(config: ImportConfig) -> str:
    """Return a fingerprint of the files that are read, so that a model is imported again if one of them is edited."""
    return fingerprint_files([as_text(str(path)) for path in files_read(config.path)])


def contract(artifact: Artifact) -> Iterator[str]:
    """Check that the model is complete, and that its vocabulary is that of its tokenizer."""
    yield from whole_model(artifact)


@stage(makes=kinds.Model, version=1, contract=contract, sources=sources, check=check)
def import_model(config: ImportConfig, out: Output) -> None:
    """Import a model with its tokenizer. Weights become float32; the logits are those of `transformers`.

    The vocabulary gets those of textmill's special tokens that it lacks, such as <|user|>. Their embeddings are the
    mean of all others, so that each of them is given at most the average probability, and what the model says of text
    stays what it was (Hewitt 2021).
    """
    from model.huggingface.folder import read_folder
    from model.huggingface.tokens import read_tokenizer
    from model.huggingface.weights import read_model

    try:
        folder = read_folder(config.path)
        shape = imported_shape(config)
        vocabulary = read_tokenizer(folder, shape.vocab_size)
        model = read_model(folder, shape.model_copy(update={"vocab_size": vocabulary.tokenizer.vocab_size}))
    except (ValueError, OSError) as error:
        raise PermanentError(str(error)) from error
    out.info(
        f"Imported a {shape.family} of {shape.n_layer} layers, {shape.d_model} wide, with {shape.vocab_size:,} token "
        f"ids and a context of {shape.max_seq_len:,} tokens. {vocabulary.added_text()}"
    )
    out.count(vocab_size=vocabulary.tokenizer.vocab_size, tokens_added=len(vocabulary.added))
    write_model(out, model, vocabulary.tokenizer, [], vocabulary.template)
