"""Every module that shapes a stage's result is part of the stage's key: a changed one can never give a stale hit."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from flows.graph import STAGES

ROOT = Path(__file__).resolve().parents[1]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for floor in ("tasks", "model", "data_lake")
    for path in (ROOT / floor).rglob("*.py")
}
# What carries, checks, draws or speeds up results and cannot change them.
PLUMBING = {
    "data_lake",
    "data_lake.account",
    "data_lake.ast_hashes",
    "data_lake.compiled",
    "data_lake.files",
    "data_lake.fingerprint",
    "data_lake.home",
    "data_lake.ledger",
    "data_lake.locks",
    "data_lake.manifest",
    "data_lake.store",
    "model.hardware",
    "model.settings",
    "tasks",
    "tasks.config",
    "tasks.corpus_figures",
    "tasks.errors",
    "tasks.figures",
    "tasks.file_patterns",  # the files that it finds are hashed as sources
    "tasks.libraries",
    "tasks.output",
    "tasks.patterns",
    "tasks.kinds",
    "tasks.preflight",
    "tasks.provenance",
    "tasks.roles",
    "tasks.shards",
    "tasks.stage",
    "tasks.terminal",
}
# Imported by a module whose other half is what the stage uses.
NOT_USED = {
    # it reads WARC files, and visits nothing
    "clean": {"tasks.crawl.config", "tasks.crawl.fetch", "tasks.crawl.network"},
    # it reads rows of benchmark files, and neither archives nor what must be fetched
    "decontaminate": {
        "tasks.crawl.archives",
        "tasks.crawl.config",
        "tasks.crawl.network",
        "tasks.crawl.remote",
        "tasks.crawl.urls",
    },
    # it loads trained models, and trains none; what it looks for in texts is its own field `contamination`
    "evaluate": {
        "model.batches",
        "model.checkpoint",
        "model.config",
        "model.losses",
        "model.optim",
        "model.schedule",
        "model.trainer",
        "tasks.decontaminate.config",
        "tasks.training",
    },
}


def imported(name: str) -> set[str]:
    """The modules of ours that a module imports, wherever it does."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found & MODULES.keys()


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_stage_imports_is_in_its_key(stage: str) -> None:
    reached: set[str] = set()
    todo = [name for name in MODULES if f"{name}.".startswith(f"tasks.{stage}.")]
    while todo:
        name = todo.pop()
        if name not in reached | NOT_USED.get(stage, set()):  # nor is what those import
            reached.add(name)
            todo += imported(name)
    in_key = {name for name in reached if any(f"{name}.".startswith(f"{code}.") for code in STAGES[stage].code)}
    missing = reached - in_key - PLUMBING - NOT_USED.get(stage, set())
    assert not missing, (
        f"{stage} uses {sorted(missing)}, which its code= does not name: changing them rebuilds nothing."
    )
