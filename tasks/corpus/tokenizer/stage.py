"""The tokenizer stage: learns a vocabulary from the training split, or takes a ready one, and measures it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path

from data_lake.store.files import write_whole
from data_lake.tables.documents import read_documents
from data_lake.tables.draws import hash_share
from model.tokenizer import PATTERNS, SPECIALS, Tokenizer, specials_after
from model.vocabulary.byte_pairs import BytePairs
from tasks.corpus.splits import documents_of
from tasks.corpus.tokenizer.config import TokenizerConfig
from tasks.corpus.tokenizer.elsewhere import sources, taken
from tasks.corpus.tokenizer.measure import REPORT, gpt2_at_hand, measured
from tasks.corpus.tokenizer.preflight import SAMPLE, check
from tasks.corpus.tokenizer.unigram import learn_unigram
from tasks.stage import Artifact, Output, PermanentError, figures, kinds, stage


def contract(artifact: Artifact) -> Iterator[str]:
    """Check that the tokenizer loads, has as many ids as the stage counted, and decodes text without loss."""
    loaded = Tokenizer.load(artifact.path)
    if loaded.vocab_size != artifact.counts["vocab_size"]:
        yield f"The tokenizer has {loaded.vocab_size} ids, but the stage counted {artifact.counts['vocab_size']}."
    ids = loaded.encode(SAMPLE)
    if loaded.vocabulary.keeps_text and loaded.decode(ids) != SAMPLE:
        pattern = loaded.pattern if isinstance(loaded.vocabulary, BytePairs) else "that splits text"
        yield (
            f"The tokenizer loses text: of a sample of {len(SAMPLE)} characters {len(loaded.decode(ids))} come back. "
            f"The pattern {pattern!r} must match every character; add `|.` for what nothing else matches."
        )
    if max(ids, default=0) >= loaded.vocab_size:
        yield f"The tokenizer gives id {max(ids)}, but its vocabulary ends at {loaded.vocab_size - 1}."
    for role in ("bos", "eos", "pad"):
        try:
            loaded.role(role)
        except KeyError as error:
            yield str(error.args[0])
    if loaded.roles is None and (missing := [name for name in SPECIALS if name not in loaded.specials]):
        yield f"The tokenizer has no {', '.join(missing)}."


def content(folder: Path) -> str:
    """Return the tokenizer's identity: what was measured with it is not part of it."""
    found: str = json.loads((folder / "tokenizer.json").read_text("utf-8"))["sha256"]
    return found


def without(config: TokenizerConfig) -> Collection[str]:
    """Return the libraries that a config does not use."""
    if config.ready is not None:
        return ("rustbpe", "sentencepiece", "tokenizers")
    if config.files:
        return ("rustbpe",)
    return ("sentencepiece", "tokenizers") if config.algorithm == "bpe" else ("rustbpe", "tiktoken")


@stage(
    makes=kinds.Tokenizer,
    headline=("bytes_per_token",),
    version=1,
    contract=contract,
    content=content,
    sources=sources,
    without=without,
    check=check,
)
def tokenizer(config: TokenizerConfig, out: Output, corpus: kinds.Corpus, base: kinds.Model | None = None) -> None:
    """Learn a vocabulary of `vocab_size` tokens from the training documents, or take that of `base` or of the config.

    `bytes_per_token` is the average number of bytes of held-out text per token: the higher it is, the fewer tokens the
    model has to read. `gpt2_bytes_per_token` is GPT-2's number for the same texts, if its ranks are at hand.
    bytes_per_token.json has both by language and source.
    """
    sampled = 0
    if base is not None:
        made = Tokenizer.load(base.path / "tokenizer")
    elif config.learns:
        made, sampled = _learned(config, out, corpus)
    else:
        try:
            made = taken(config)
        except (ValueError, OSError) as error:
            raise PermanentError(str(error)) from error
    made.save(out.dir)

    tokens = made.vocabulary.tokens()
    single = sum(len(token) == 1 for token in tokens.values())
    out.count(vocab_size=made.vocab_size, merges=len(tokens) - single, specials=len(made.specials))
    out.count(trained_on_bytes=sampled)
    found = measured(made, corpus.path, gpt2_at_hand(config))
    out.metric(bytes_per_token=found.together.bytes_per_token, gpt2_bytes_per_token=found.together.gpt2_bytes_per_token)
    rows = list(found.rows())
    write_whole(out.dir / REPORT, json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    out.table("bytes_per_token", rows)
    lengths = [len(token) for token in tokens.values()]
    out.figure("token_lengths", figures.histogram(lengths, "Lengths of tokens", "bytes", log=False))
    longest = sorted(tokens, key=lambda id_: (-len(tokens[id_]), id_))[:50]
    out.table(
        "longest_tokens",
        [{"id": i, "bytes": len(tokens[i]), "token": tokens[i].decode(errors="replace")} for i in longest],
    )


def _learned(config: TokenizerConfig, out: Output, corpus: kinds.Corpus) -> tuple[Tokenizer, int]:
    """Learn a tokenizer; return it and the number of bytes it was learned from."""
    pattern = PATTERNS.get(config.pattern, config.pattern)
    specials = [*SPECIALS, *config.specials]
    total, sampled = _training_bytes(corpus.path), 0
    share = min(1.0, config.max_bytes / max(1, total))

    def training_texts() -> Iterator[str]:
        nonlocal sampled
        for text, n_bytes in _training_texts(corpus.path, share):
            sampled += n_bytes
            out.progress(sampled, total * share, "bytes")
            yield text

    size = config.vocab_size - len(specials)
    try:
        vocabulary = (
            _learn_pairs(training_texts(), size, pattern)
            if config.algorithm == "bpe"
            else learn_unigram(training_texts(), size, pattern, out.work)
        )
    except ValueError as error:
        raise PermanentError(f"The tokenizer cannot be learned: {error}") from error
    if not sampled:
        raise PermanentError(
            f"None of the {corpus.counts.get('documents', 0):,} documents is in the training split, so there is "
            "nothing to learn a tokenizer from; give the crawl more pages, or hold out less (decontaminate.split)."
        )
    learned = Tokenizer.of(vocabulary, specials_after(len(vocabulary.tokens()), 64, specials))
    if learned.vocab_size < config.vocab_size:
        out.warning(
            f"The {sampled:,} bytes of training text have pairs for {learned.vocab_size:,} ids only, not for the "
            f"{config.vocab_size:,} that vocab_size asks for."
        )
    return learned, sampled


def _learn_pairs(texts: Iterator[str], size: int, pattern: str) -> BytePairs:
    import rustbpe

    trainer = rustbpe.Tokenizer()
    try:
        trainer.train_from_iterator(texts, size, pattern=pattern)
    except ValueError as error:
        raise ValueError(f"The tokenizer's pattern {pattern!r} cannot be used: {error}") from error
    return BytePairs({bytes(token): rank for token, rank in trainer.get_mergeable_ranks()}, pattern)


def _training_bytes(corpus: Path) -> int:
    import pyarrow.compute as pc

    total = 0
    for batch in read_documents(corpus, ["n_bytes", "split"]):
        total += pc.sum(batch.filter(pc.equal(batch["split"], "train"))["n_bytes"]).as_py() or 0
    return total


def _training_texts(corpus: Path, share: float) -> Iterator[tuple[str, int]]:
    """Yield text and size of training documents: the given share of them, chosen by hash and therefore unbiased."""
    for document in documents_of(corpus, {"train"}):
        if hash_share("tokenizer", document.doc_id) < share:
            yield document.text, document.n_bytes
