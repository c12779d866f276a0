"""A corpus in the shape of cleaned pydoc pages, with its tokenizer and tokens built by the real stages."""

from __future__ import annotations

import datetime
from pathlib import Path

import pyarrow as pa

from data_lake.reading.ledger import Tally
from data_lake.store.lake import Artifact, Lake
from data_lake.tables import schemas
from data_lake.tables.documents import doc_id, shard_path, split_of, write_parquet
from tasks.corpus.splits import SplitConfig, count_splits
from tasks.corpus.tokenize import TokenizeConfig, tokenize
from tasks.corpus.tokenizer import TokenizerConfig, tokenizer
from tasks.stage import BuildResult, Output, Stage, StageConfig, kinds, stage

VERBS = ("read", "write", "open", "close", "send", "parse", "copy", "merge", "split", "encode", "decode", "sort")
THINGS = ("file", "socket", "header", "message", "buffer", "archive", "token", "record", "thread", "queue", "date")


RUNTIME = {"threads": 1, "precision": "float32", "checkpoint_seconds": 0.0, "log_every": 5}
PRETRAIN = {
    "model": {"n_layer": 1, "n_head": 2, "n_kv_head": 1, "d_model": 32, "d_ff": 48, "max_seq_len": 128},
    "training": {"steps": 20, "batch_size": 4, "learning_rate": 1e-2},
    "samples": {"count": 2, "new_tokens": 8},
    "runtime": RUNTIME,
}
SFT = {
    "training": {"steps": 10, "batch_size": 4, "learning_rate": 1e-3},
    "samples": 2,
    "sample_tokens": 8,
    "runtime": RUNTIME,
}


def page(number: int) -> str:
    """Return a page of one module with a class and functions whose names say what they do."""
    lines = [f"mod{number}\tindex", "", f"Tools of module {number} for work with many kinds of things.", "", "Classes"]
    lines += [f"class Box{number}(builtins.object)", f"Box{number}(size=1)", "", f"A box of {number} things.", ""]
    lines += ["Methods defined here:", "__init__(self, size=1)", "    Initialize self.  See help(type(self)).", ""]
    lines += ["Methods inherited from builtins.object:", "old(self)", "    This is said on other pages as well.", ""]
    lines += ["Functions"]
    for step in range(6):
        verb, thing = VERBS[(number + step) % len(VERBS)], THINGS[(number * 5 + step) % len(THINGS)]
        lines += [
            f"{verb}_{thing}{number}(path, *, mode='r')",
            f"    {verb.capitalize()} the {thing} number {number} and return how many {thing}s {verb}{number} has.",
            "",
            "    Nothing is done when the mode is not the one that was asked for.",
            "",
        ]
    return "\n".join(lines)


class PagesConfig(StageConfig):
    """How many pages, and of how many packages; 0 = each page is of a module of its own."""

    count: int = 40
    python: bool = True
    prose: bool = True
    packages: int = 0
    split: SplitConfig = SplitConfig(val=0.15, test=0.2)


@stage(makes=kinds.Corpus, version=1)
def decontaminate(config: PagesConfig, out: Output) -> None:
    """Write pages as the decontaminate stage does."""
    tally = Tally()
    rows = []
    for number in range(config.count):
        module = f"pack{number % config.packages}.mod{number}" if config.packages else f"mod{number}"
        url = f"http://python-docs.localhost/{module}.html" if config.python else f"http://example.org/{number}"
        text = (
            page(number)
            if config.python
            else f"Page {number} tells nothing of Python{'.' if config.prose else '_' * 3} " * 30
        )
        tally.keep(len(text.encode()))
        rows.append(
            {
                "doc_id": doc_id(url=url),
                "url": url,
                "source": "python-docs.localhost",
                "fetched_at": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
                "title": f"module {module}" if config.python else f"page {number}",
                "text": text,
                "n_bytes": len(text.encode()),
                "split": split_of(doc_id(url=url), config.split.val, config.split.test),
            }
        )
    write_parquet(shard_path(out.dir / "documents", 0), pa.Table.from_pylist(rows, schema=schemas.CORPUS))
    out.ledger(tally.ledger())
    splits = count_splits(out.dir)
    out.count(documents=len(rows), **{f"{name}_documents": number for name, number in splits.items()})


# What fills a role where it is not called like the stage.
MADE_BY = {"corpus": "decontaminate", "tokens": "tokenize", "base": "pretrain"}


def make(stage: Stage, lake: Lake, config: StageConfig, built: dict[str, Artifact]) -> BuildResult:
    """Build a stage from those of the artifacts that it needs."""
    named = {name: MADE_BY.get(name, name) for name, role in stage.inputs.items()}
    needed = {name: one for name, one in named.items() if one in built or not stage.inputs[name].optional}
    return stage.build(lake, config, {name: built[one] for name, one in needed.items()})


def build_corpus(folder: Path, config: PagesConfig | None = None) -> tuple[Lake, dict[str, Artifact]]:
    """Build a lake with decontaminate, tokenizer and tokenize artifacts."""
    lake = Lake(folder)
    built = {"decontaminate": decontaminate.build(lake, config or PagesConfig(), {}).artifact}
    built["tokenizer"] = make(tokenizer, lake, TokenizerConfig(vocab_size=512), built).artifact
    built["tokenize"] = make(tokenize, lake, TokenizeConfig(seq_len=64), built).artifact
    return lake, built


def build_models(lake: Lake, built: dict[str, Artifact]) -> dict[str, Artifact]:
    """Train the smallest models on a corpus: pretrain and sft artifacts added to those given."""
    from tasks.training.pretrain import PretrainConfig, pretrain
    from tasks.training.sft import SftConfig, sft

    built = {**built, "pretrain": make(pretrain, lake, PretrainConfig(**PRETRAIN), built).artifact}
    return {**built, "sft": make(sft, lake, SftConfig(**SFT), built).artifact}
