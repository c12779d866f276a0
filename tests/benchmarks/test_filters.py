"""The filters' speed beside datatrove's: Gopher, C4 and FineWeb on pages of C4, one core, CPU time."""

from __future__ import annotations

import functools
import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import pytest

from tasks.corpus.clean.analysis import Analysis
from tasks.corpus.clean.config import CleanConfig
from tasks.corpus.clean.filter_config import FilterConfig
from tasks.corpus.clean.filters import Chain
from tasks.corpus.clean.normalize import normalize
from tasks.corpus.clean.pii import Redactor
from tasks.corpus.clean.text_config import PiiConfig
from tests.benchmarks.board import record

WORD = re.compile(r"\w+|[^\w\s]")
SENTENCE = re.compile(r"(?<=[.!?])\s+")
SAME = ("gopher_repetition", "gopher_quality", "c4", "fineweb")


@pytest.fixture
def texts(shared_data) -> list[str]:
    path = shared_data / "07_text" / "hiyouga__LLaMA-Factory" / "data" / "c4_demo.jsonl"
    return [json.loads(line)["text"] for line in path.read_text("utf-8").splitlines()]


def per_second(function: Callable[[str], object], texts: Sequence[str], repeats: int = 5) -> float:
    """Documents per second of CPU time: the median of some runs, after one that compiles and loads."""

    def once() -> float:
        started = time.process_time()
        for text in texts:
            function(text)
        return time.process_time() - started

    once()
    return len(texts) / median(once() for _ in range(repeats))


@pytest.mark.benchmark
@pytest.mark.shared
def test_filters_against_datatrove(texts, monkeypatch):
    """Four filters on the same pages. Ours identify the language as well, which theirs are told."""
    pytest.importorskip("spacy")
    module = "datatrove.pipeline.filters"
    c4 = pytest.importorskip(f"{module}.c4_filters").C4QualityFilter(filter_no_terminal_punct=False)
    fineweb = pytest.importorskip(f"{module}.fineweb_quality_filter").FineWebQualityFilter()
    quality = pytest.importorskip(f"{module}.gopher_quality_filter").GopherQualityFilter()
    repetition = pytest.importorskip(f"{module}.gopher_repetition_filter").GopherRepetitionFilter()
    from datatrove.data import Document

    def theirs(text: str) -> bool:
        document = Document(text=text, id="1")
        return all(each.filter(document) is True for each in (repetition, quality, c4, fineweb))

    # with words split by a regular expression and found once for a text: what its filters cost without spaCy's words
    words = functools.lru_cache(5)(lambda text, language: WORD.findall(text))
    sentences = functools.lru_cache(5)(lambda text, language: SENTENCE.split(text))

    chain = Chain(FilterConfig(use=SAME, c4={"terminal_punctuation": False}), Path("nowhere"))
    rivals = {"datatrove": per_second(theirs, texts, repeats=1)}
    for name in ("fineweb_quality_filter", "gopher_quality_filter", "gopher_repetition_filter"):
        monkeypatch.setattr(f"{module}.{name}.split_into_words", words)
    monkeypatch.setattr(f"{module}.c4_filters.split_into_sentences", sentences)
    rivals["datatrove without its own words"] = per_second(theirs, texts)
    ours = per_second(lambda text: chain.judge(Analysis(text)), texts)
    ratio = record("filters: Gopher, C4, FineWeb", ours, rivals, unit="documents/s per core")
    assert ratio is not None
    assert ours > 5 * rivals["datatrove"]


@pytest.mark.benchmark
@pytest.mark.shared
def test_each_step_of_clean_after_extraction(texts):
    """What a document costs: repair, the default filters with the language, personal data."""
    config = CleanConfig()
    chain, redactor = Chain(config.filters, Path("nowhere")), Redactor(PiiConfig())
    steps: dict[str, Callable[[str], object]] = {
        "repair and normalisation": lambda text: normalize(text, config),
        "default filters": lambda text: chain.judge(Analysis(text)),
        "personal data": redactor.redact,
    }
    for name, function in steps.items():
        record(f"clean: {name}", per_second(function, texts), unit="documents/s per core")
