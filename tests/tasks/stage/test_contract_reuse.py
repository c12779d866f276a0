"""A site is crawled again and two of its pages have changed: each data stage works on those two, and says so."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from data_lake.store.lake import Artifact, Lake
from tasks.corpus.clean import CleanConfig, clean
from tasks.corpus.crawl import CrawlConfig, crawl
from tasks.corpus.decontaminate import DecontaminateConfig, decontaminate
from tasks.corpus.dedup import DedupConfig, dedup
from tasks.corpus.splits import SplitConfig
from tasks.corpus.tokenize import TokenizeConfig, tokenize
from tasks.corpus.tokenizer import TokenizerConfig, tokenizer
from tasks.stage.contract import AnyStage
from tests.tasks.corpus.crawl.conftest import Site, site  # noqa: F401  (a fixture)

PAGES = 40
CHANGED = (7, 21)
FRAME = ["the", "{}", "of", "the", "{}", "that", "{}", "with", "{}", "and", "{}", "to", "be", "{}", "in", "{}"]


def prose(seed: str) -> str:
    """Sentences that no filter takes for noise and no two pages share."""
    dice = random.Random(seed)

    def word() -> str:
        return "".join(dice.choice("bdklmnprst") + dice.choice("aeiou") for _ in range(dice.randrange(2, 5)))

    return " ".join(" ".join(word() if part == "{}" else part for part in FRAME).capitalize() + "." for _ in range(14))


def through(site: Site, lake: Lake, kept: Artifact | None = None) -> dict[str, Artifact]:  # noqa: F811
    """Build all data stages; the crawl asks the site again."""
    config = CrawlConfig(seeds=(f"{site.url}/",), resolve=site.resolve, delay=0.0, cut_repeats=False, max_age=0.0)
    made = {"crawl": crawl.build(lake, config, {}).artifact}

    def build(stage: AnyStage, settings: Any, *inputs: str) -> None:
        roles = {role: made[name] for role, name in zip(stage.inputs, inputs, strict=False)}
        made[stage.name] = stage.build(lake, settings, roles).artifact

    build(clean, CleanConfig(), "crawl")
    build(dedup, DedupConfig(), "clean")
    build(decontaminate, DecontaminateConfig(split=SplitConfig(val=0.2, test=0)), "dedup")
    if kept is None:
        build(tokenizer, TokenizerConfig(vocab_size=384), "decontaminate")
    else:
        made["tokenizer"] = kept
    build(tokenize, TokenizeConfig(seq_len=16), "decontaminate", "tokenizer")
    return made


def test_each_stage_works_on_what_changed(site: Site, tmp_path: Path) -> None:  # noqa: F811
    names = [f"/{number}" for number in range(PAGES)]
    site.page("/", *names, text=prose("front"))
    for name in names:
        site.page(name, text=prose(name))
    lake = Lake(tmp_path / "lake")
    first = through(site, lake)
    assert first["tokenize"].counts["documents"] == PAGES + 1
    for number in CHANGED:
        site.page(f"/{number}", text=prose(f"another {number}"))
    second = through(site, lake, kept=first["tokenizer"])

    unchanged = PAGES + 1 - len(CHANGED)
    assert second["clean"].metrics["pages_reused"] == unchanged
    for stage in ("dedup", "decontaminate", "tokenize"):
        assert second[stage].key != first[stage].key
        assert first[stage].metrics["documents_reused"] == 0
        assert second[stage].metrics["documents_reused"] == unchanged, stage
        assert second[stage].counts["documents"] == PAGES + 1
