"""The price of a plan: twice the work is twice the price, what is not known is null, and totals are sums.

Also covers: tasks/stage/work.py
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_lake.store.home import Home
from data_lake.store.lake import Artifact, Lake
from data_lake.store.manifest import MANIFEST_NAME, Manifest, read_manifest, sealed
from flows.graph.node import Graph
from flows.graph.plan import Plan, make_plan
from flows.graph.price import Price, Sample, estimate, total, work_of
from model.config import Training
from model.shape import GPTShape
from tasks.corpus.crawl import CrawlConfig, crawl
from tasks.stage import Output, StageConfig, stage
from tasks.stage.contract import AnyStage
from tasks.stage.work import Work
from tasks.training.pretrain import PretrainConfig, pretrain
from tasks.training.sft import SftConfig, sft

AMOUNT = st.floats(0.001, 1e9)
SAMPLES = st.lists(st.builds(Sample, st.builds(Work, AMOUNT, AMOUNT), AMOUNT, st.integers(1, 10**12)), max_size=7)


@given(AMOUNT, SAMPLES, st.floats(0.1, 1000))
def test_so_many_times_the_work_takes_so_many_times_the_price(
    work: float, samples: list[Sample], factor: float
) -> None:
    price = estimate(Work(work, work), samples)
    larger = estimate(Work(work * factor, work * factor), samples)
    if not samples:
        assert price == larger == Price()
    else:
        assert price.seconds is not None
        assert price.bytes is not None
        assert larger.seconds == pytest.approx(factor * price.seconds)
        assert larger.bytes == pytest.approx(factor * price.bytes, rel=1e-9, abs=1 + factor)


@given(SAMPLES.filter(bool))
def test_the_price_lies_between_what_the_builds_say(samples: list[Sample]) -> None:
    found = estimate(Work(1.0, 1.0), samples).seconds
    rates = [sample.seconds / sample.work.seconds for sample in samples]
    assert found is not None
    assert min(rates) * (1 - 1e-9) <= found <= max(rates) * (1 + 1e-9)


def test_what_reads_nothing_takes_what_it_took() -> None:
    sample = Sample(Work(0, 0), 3.0, 10)
    assert estimate(Work(0, 0), [sample]) == Price(3.0, 10)
    assert estimate(Work(5, 5), [sample]) == Price(), "nothing can be scaled by nothing"
    assert estimate(None, [sample]) == Price()


@given(st.lists(st.builds(Price, st.none() | AMOUNT, st.none() | st.integers(0, 10**12))))
def test_the_total_is_the_sum_of_what_is_known(found: list[Price]) -> None:
    whole = total(found)
    seconds = [price.seconds for price in found if price.seconds is not None]
    sizes = [price.bytes for price in found if price.bytes is not None]
    if found and not seconds:
        assert whole.seconds is None
    else:
        assert whole.seconds == pytest.approx(math.fsum(seconds))
    assert whole.bytes == (sum(sizes) if sizes or not found else None)


# -- in a plan ---------------------------------------------------------------------------------------------------------


class SourceConfig(StageConfig):
    """What to write."""

    size: int = 100


class CopyConfig(StageConfig):
    """Which copy, and how often."""

    label: str = ""
    times: int = 1


@stage(makes=Artifact, version=1)
def source(config: SourceConfig, out: Output) -> None:
    """Write so many bytes."""
    (out.dir / "text").write_text("x" * config.size)


@stage(makes=Artifact, version=1)
def copy(config: CopyConfig, out: Output, text: Artifact) -> None:
    """Copy what came in."""
    (out.dir / "text").write_text((text.path / "text").read_text())


@stage(makes=Artifact, version=1, work=lambda config, sizes: Work(config.times, 1))
def repeat(config: CopyConfig, out: Output, text: Artifact) -> None:
    """Something whose time goes with its config, and whose size is always the same."""
    (out.dir / "text").write_text("x" * 50)


CHAIN: tuple[AnyStage, ...] = (source, copy, repeat)


def graph(size: int = 100, **config: Any) -> Graph:
    made = Graph()
    text = made.add(source, SourceConfig(size=size))
    made.add(repeat, CopyConfig(**config), made.add(copy, CopyConfig(**config), text))
    return made


@pytest.fixture
def lake() -> Lake:
    return Lake(Home.from_env().lake)


def build(lake: Lake, seconds: Mapping[str, float], size: int = 100, **config: Any) -> None:
    """Build all of a graph, and let the manifests say that it took so many seconds."""
    artifact = source.build(lake, SourceConfig(size=size), {}).artifact
    took(artifact.path, seconds=seconds["source"])
    for made in (copy, repeat):
        artifact = made.build(lake, CopyConfig(**config), {"text": artifact}).artifact
        took(artifact.path, seconds=seconds[made.name])


def took(folder: Path, **changes: Any) -> None:
    raw = {**json.loads(read_manifest(folder).model_dump_json()), **changes}
    (folder / MANIFEST_NAME).write_text(sealed(Manifest.model_validate(raw)))


def priced(plan: Plan) -> dict[str, tuple[float | None, int | None]]:
    return {row.node: (row.seconds, row.bytes) for row in plan.rows}


FIRST = {"source": 2.0, "copy": 3.0, "repeat": 10.0}


def test_an_empty_lake_knows_no_price(lake: Lake) -> None:
    plan = make_plan(graph(), lake)
    assert set(priced(plan).values()) == {(None, None)}
    assert plan.to_json()["expected"] == {"seconds": None, "bytes": None, "unknown": ["source", "copy", "repeat"]}


def test_what_the_lake_has_costs_nothing(lake: Lake) -> None:
    build(lake, FIRST)
    plan = make_plan(graph(), lake)
    assert {row.status for row in plan.rows} == {"hit"}
    assert set(priced(plan).values()) == {(None, None)}
    assert plan.to_json()["expected"] == {"seconds": 0, "bytes": 0, "unknown": []}


def test_a_build_is_scaled_by_the_bytes_that_it_reads(lake: Lake) -> None:
    build(lake, FIRST)
    larger = source.build(lake, SourceConfig(size=300), {}).artifact
    took(larger.path, seconds=2.0)
    plan = make_plan(graph(300), lake)
    assert priced(plan) == {"source": (None, None), "copy": (9.0, 300), "repeat": (10.0, 50)}
    assert plan.to_json()["expected"] == {"seconds": 19.0, "bytes": 350, "unknown": []}
    rows = {row["node"]: row for row in plan.to_json()["nodes"]}
    assert (rows["copy"]["seconds"], rows["copy"]["bytes"]) == (9.0, 300)


def test_a_stage_may_measure_its_own_work(lake: Lake) -> None:
    build(lake, FIRST)
    plan = make_plan(graph(times=4), lake)
    assert priced(plan)["repeat"] == (40.0, 50)
    assert priced(plan)["copy"] == (3.0, 100), "the bytes that it will read are predicted"


def test_what_is_read_but_not_known_leaves_the_price_open(lake: Lake) -> None:
    build(lake, FIRST)
    for artifact in lake.artifacts("source"):
        (artifact.path / MANIFEST_NAME).unlink()
    plan = make_plan(graph(200, times=2), lake)
    assert priced(plan) == {"source": (None, None), "copy": (None, None), "repeat": (20.0, 50)}
    assert plan.to_json()["expected"] == {"seconds": 20.0, "bytes": 50, "unknown": ["source", "copy"]}


def test_the_builds_of_this_machine_and_config_count_first(lake: Lake) -> None:
    build(lake, FIRST, label="a")
    build(lake, {"source": 2.0, "copy": 5.0, "repeat": 50.0}, label="b")
    assert priced(make_plan(graph(label="a"), lake, ["copy"]))["copy"] == (3.0, 100)
    assert priced(make_plan(graph(label="b"), lake, ["copy"]))["copy"] == (5.0, 100)
    assert priced(make_plan(graph(label="c"), lake))["copy"] == (4.0, 100), "the median of what is there"
    (other,) = [a for a in lake.artifacts("copy") if a.manifest.payload["config"]["label"] == "b"]
    took(other.path, provenance={**other.manifest.provenance, "cpu_count": 1000})
    assert priced(make_plan(graph(label="c"), lake))["copy"] == (3.0, 100)


def test_a_build_of_a_config_that_is_none_any_more_says_nothing(lake: Lake) -> None:
    build(lake, FIRST)
    (old,) = lake.artifacts("repeat")
    took(old.path, payload={**old.manifest.payload, "config": {"volume": 11}})
    assert priced(make_plan(graph(label="new"), lake))["repeat"] == (None, None)


def test_training_goes_with_tokens_and_weights() -> None:
    base, wide = PretrainConfig(), PretrainConfig(model=GPTShape(n_layer=8))
    longer = PretrainConfig(training=Training(steps=2 * base.training.steps))
    known = work_of(pretrain, base, {}, whole=False)
    assert known is not None
    assert work_of(pretrain, longer, {}, whole=False) == Work(2 * known.seconds, known.bytes)
    assert work_of(pretrain, wide, {}, whole=False) == Work(2 * known.seconds, 2 * known.bytes)
    one = work_of(sft, SftConfig(), {"base": 100.0}, whole=False)
    two = work_of(sft, SftConfig(), {"base": 200.0}, whole=False)
    assert one is not None
    assert two == Work(2 * one.seconds, 2 * one.bytes)
    assert work_of(sft, SftConfig(), {"corpus": 100.0}, whole=False) is None
    few, many = (
        work_of(crawl, CrawlConfig(seeds=("https://example.org/",), max_pages=pages), {}, whole=True)
        for pages in (10, 30)
    )
    assert few is not None
    assert many == Work(3 * few.seconds, 3 * few.bytes)
