"""The page of evaluations: error bars where the numbers are, sentences on controls, and text that stays text.

Also covers: tasks/evaluation/evaluate/page_content.py
Also covers: tasks/evaluation/evaluate/strips.py
"""

from __future__ import annotations

from typing import Any

import lxml.html
import pytest

from tasks.evaluation.evaluate.page import page_of
from tasks.evaluation.evaluate.page_content import Measured, drawn

HOSTILE = "</pre><script>alert(1)</script><img src=//evil.example/x onerror=alert(2)>\x00\ud800 {{ 7*7 }} &amp;"


def part(value: float | None, n: int = 100, stderr: float | None = 0.05) -> dict[str, Any]:
    return {"n": n, "acc": value, "acc_stderr": stderr}


def found(value: float, **own: Any) -> dict[str, Any]:
    return {
        "metric": "acc",
        "available": 120,
        "shots": 5,
        "chance": 0.25,
        "n_truncated": 7,
        "n_too_long": 20,
        **part(value),
        "clean": part(value, 90),
        "contaminated": part(None, 0, None),
        "subjects": {},
        "controls": {},
        **own,
    }


def row(item: int, *, score: float | None, benchmark: str = "piqa", **own: Any) -> dict[str, Any]:
    return {
        "benchmark": benchmark,
        "item": item,
        "subject": "",
        "context": f"Question {item}",
        "choices": ["a", "bbbb"],
        "gold": 0,
        "log_likelihoods": [-3.0, -4.0],
        "answer": "a",
        "score": score,
        "correct": None,
        "tokens": 3,
        "contaminated": False,
        "truncated": False,
        **own,
    }


def measured(name: str, benchmarks: dict[str, Any], rows: list[dict[str, Any]] | None = None, **own: Any) -> Measured:
    measures = ("bits_per_byte", "bits_per_character", "token_perplexity", "word_perplexity", "byte_perplexity")
    text = {**dict.fromkeys(measures, 1.25), "documents": 3, "bytes": 5000}
    results = {"text": text, "benchmarks": benchmarks, "compression": {"xz": 2.5, "xz_primed": None}, **own}
    samples: dict[str, list[dict[str, Any]]] = {}
    for one in rows or []:
        samples.setdefault(one["benchmark"], []).append(one)
    return Measured(name, results, sum(one["tokens"] for one in rows or []), samples)


def parsed(*models: Measured) -> lxml.html.HtmlElement:
    return lxml.html.document_fromstring(page_of(models, "Mine"))


def test_whatever_texts_contain_the_page_shows_it_and_does_nothing() -> None:
    texts = dict.fromkeys(("subject", "context", "answer"), HOSTILE)
    benchmarks = {HOSTILE: found(0.5, subjects={HOSTILE: part(0.5)})}
    rows = [row(0, score=1.0, benchmark=HOSTILE, choices=[HOSTILE, "b"], **texts)]
    page = parsed(measured(HOSTILE, benchmarks, rows, files=[{"benchmark": HOSTILE, "part": HOSTILE, "place": HOSTILE,
                           "bytes": 3, "sha256": "0" * 64}]))  # fmt: skip
    assert not page.xpath("//script | //img | //a | //link | //iframe")
    assert not [name for one in page.iter() for name in one.attrib if name.startswith("on") or name in ("src", "href")]
    shown = HOSTILE.replace("\x00", "\u2400").replace("\ud800", "?")
    assert page.text_content().count(shown) >= 6
    assert page.xpath("//pre")[0].text == shown


def test_the_error_bar_is_two_standard_errors_to_each_side_and_chance_and_controls_stand_beside() -> None:
    controls = {"no_question": {"n": 100, "value": 0.75, "difference": 0.0, "difference_stderr": 0.04}}
    page = parsed(measured("sft", {"piqa": found(0.5, controls=controls)}))
    strip = page.xpath("//svg[@class='strip']")[0]

    def places(name: str, *attributes: str) -> list[float]:
        return [float(strip.xpath(f".//*[@class='{name}']")[0].get(one)) for one in attributes]

    def at(value: float) -> float:  # 240 pixels with a margin of 8
        return pytest.approx(8 + 224 * value, abs=0.1)  # type: ignore[no-any-return]

    assert places("error", "x1", "x2") == [at(0.4), at(0.6)]
    assert places("score", "cx") == [at(0.5)]
    assert places("chance", "x1") == [at(0.25)]
    assert places("control", "cx") == [at(0.75)]
    text = " ".join(page.text_content().split())
    assert "It beats chance by 5.0 standard errors. It does not beat the choices alone (0.750) by two" in text
    assert "100 of 120" in text
    assert "7 cut to the context" in text
    assert "20 left out: too long" in text


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.3, "cannot be told from chance (1.0 standard errors above it)"), (0.1, "lies 3.0 standard errors below")],
)
def test_a_score_that_does_not_beat_chance_is_said_not_to(value: float, words: str) -> None:
    assert words in parsed(measured("sft", {"piqa": found(value)})).text_content()


def test_a_metric_without_a_scale_from_0_to_1_has_no_strip() -> None:
    text = {"metric": "word_perplexity", "word_perplexity": 0.9, "word_perplexity_stderr": 0.1, "chance": None}
    both = {"clean": {"n": 0}, "contaminated": {"n": 0}}
    page = parsed(measured("sft", {"wikitext": {**found(0.5), **text, **both}}))
    assert not page.xpath("//svg[@class='strip']")


def test_samples_are_right_and_wrong_ones_and_mark_the_choice_by_the_metric() -> None:
    rows = [row(n, score=float(n % 2)) for n in range(20)] + [row(99, score=None, log_likelihoods=[-5.0])]
    taken = [rows[place] for place in drawn(rows)]
    assert sorted(one["score"] for one in taken) == [0.0] * 3 + [1.0] * 3
    by_length = found(0.5) | {"metric": "acc_norm", "acc_norm": 0.5, "acc_norm_stderr": 0.05}
    by_length |= {name: {"n": 0} for name in ("clean", "contaminated")}
    for summary, chosen in ((found(0.5), "a"), (by_length, "bbbb")):  # -4 / 4 letters beats -3 / 1
        page = parsed(measured("sft", {"piqa": summary}, taken))
        assert len(page.xpath("//div[@class='sample right']")) == 3
        (marked,) = page.xpath("(//div[@class='samples'])[1]/div[1]//i/../following-sibling::pre")
        assert marked.text == chosen


def test_groups_and_models_stand_side_by_side_and_ids_of_pages_are_no_subjects() -> None:
    subjects = {"anatomy": part(0.25, 30), "0123456789abcdef": part(0.5, 3)}
    one, other = (measured(name, {"piqa": found(0.5, subjects=subjects)}) for name in ("base", "tuned"))
    one.results["text"]["sources"] = {"example.org": one.results["text"] | {"bits_per_byte": 1.75}}
    page = parsed(one, other)
    assert "by subject (1)" in page.text_content()
    (row,) = page.xpath("//tr[th[text()='example.org']]")
    assert [cell.text_content() for cell in row] == ["example.org", "3", "5.0 kB", "1.750", "–"]
    scores = page.xpath("(//table)[1]/tbody/tr/th/text()")
    assert scores == ["base", "tuned"]
