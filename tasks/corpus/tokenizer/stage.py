"""The tokenizer stage: learns byte-pair merges from the training split with rustbpe; tiktoken applies them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from data_lake.tables.documents import read_documents
from data_lake.tables.draws import hash_share
from model.tokenizer import PATTERNS, SPECIALS, Tokenizer, specials_after
from tasks.corpus.splits import documents_of
from tasks.corpus.tokenizer.config import TokenizerConfig
from tasks.corpus.tokenizer.preflight import SAMPLE, check
from tasks.stage import Artifact, Output, PermanentError, figures, kinds, stage


def contract(artifact: Artifact) -> Iterator[str]:
    """Check that the tokenizer loads, has as many ids as the stage counted, and decodes text without loss."""
    loaded = Tokenizer.load(artifact.path)
    if loaded.vocab_size != artifact.counts["vocab_size"]:
        yield f"The tokenizer has {loaded.vocab_size} ids, but the stage counted {artifact.counts['vocab_size']}."
    ids = loaded.encode(SAMPLE)
    if loaded.decode(ids) != SAMPLE:
        yield (
            f"The tokenizer loses text: of a sample of {len(SAMPLE)} characters {len(loaded.decode(ids))} come back. "
            f"The pattern {loaded.pattern!r} must match every character; add `|.` for what nothing else matches."
        )
    if max(ids, default=0) >= loaded.vocab_size:
        yield f"The tokenizer gives id {max(ids)}, but its vocabulary ends at {loaded.vocab_size - 1}."
    missing = [name for name in SPECIALS if name not in loaded.specials]
    if missing:
        yield f"The tokenizer has no {', '.join(missing)}."


@stage(
    makes=kinds.Tokenizer,
    version=1,
    contract=contract,
    check=check,
)
def tokenizer(config: TokenizerConfig, out: Output, corpus: kinds.Corpus) -> None:
    """Learn a vocabulary of `vocab_size` tokens from the training documents.

    `bytes_per_token` is the average number of bytes of held-out text per token: the higher it is, the fewer tokens the
    model has to read.
    """
    learned, sampled = _learned(config, out, corpus)
    learned.save(out.dir)

    merges = len(learned.ranks) - 256
    out.count(vocab_size=learned.vocab_size, merges=merges, specials=len(learned.specials), trained_on_bytes=sampled)
    out.metric(bytes_per_token=_bytes_per_token(learned, corpus.path))
    lengths = [len(token) for token in learned.ranks]
    out.figure("token_lengths", figures.histogram(lengths, "Lengths of tokens", "bytes", log=False))
    longest = sorted(learned.ranks, key=lambda token: (-len(token), learned.ranks[token]))[:50]
    out.table(
        "longest_tokens",
        [{"id": learned.ranks[t], "bytes": len(t), "token": t.decode(errors="replace")} for t in longest],
    )


def _learned(config: TokenizerConfig, out: Output, corpus: kinds.Corpus) -> tuple[Tokenizer, int]:
    """Learn a tokenizer; return it and the number of bytes it was learned from."""
    import rustbpe

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

    trainer = rustbpe.Tokenizer()
    try:
        trainer.train_from_iterator(training_texts(), config.vocab_size - len(specials), pattern=pattern)
    except ValueError as error:
        raise PermanentError(f"The tokenizer's pattern {pattern!r} cannot be used: {error}") from error
    if not sampled:
        raise PermanentError(
            f"None of the {corpus.counts.get('documents', 0):,} documents is in the training split, so there is "
            "nothing to learn a tokenizer from; give the crawl more pages, or hold out less (decontaminate.split)."
        )
    ranks = {bytes(token): rank for token, rank in trainer.get_mergeable_ranks()}
    learned = Tokenizer(ranks, pattern, specials_after(len(ranks), 64, specials))
    if learned.vocab_size < config.vocab_size:
        out.warning(
            f"The {sampled:,} bytes of training text have pairs for {learned.vocab_size:,} ids only, not for the "
            f"{config.vocab_size:,} that vocab_size asks for."
        )
    return learned, sampled


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


def _bytes_per_token(learned: Tokenizer, corpus: Path, limit: int = 2_000_000) -> float | None:
    """Return bytes per token on about `limit` bytes of held-out text; None if nothing is held out."""
    n_bytes = n_tokens = 0
    for document in documents_of(corpus, {"val", "test"}):
        if n_bytes >= limit:
            break
        n_bytes += document.n_bytes
        n_tokens += len(learned.encode(document.text))
    return n_bytes / n_tokens if n_tokens else None
