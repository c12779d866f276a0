"""From extracted text to document: the order of the steps, what is counted, and that no text stops a shard."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.recipe.load import load_recipe
from tasks.corpus.clean import CleanConfig
from tasks.corpus.clean.filter_config import FILTERS
from tasks.corpus.clean.filters import Removal
from tasks.corpus.clean.page import Cleaned, clean_page
from tasks.corpus.clean.refine import Refined, Refiner

ENGLISH = (
    "Please write to jane@example.org before the end of the week. The office of Project Falcon is open to the public "
    "every day, and visitors are asked to ring the bell at the gate. Nobody has to wait for more than an hour. "
    "Children who come with their parents have to stay with them. Those who bring a letter will be heard first."
)
EVERYTHING = CleanConfig(
    normalize={"sensitive_words": ("project falcon",), "emoji": "text"},
    pii={"types": ("email", "phone", "ip", "credit_card", "iban", "national_id")},
    filters={"use": FILTERS, "bad_words": {"words": ("verboten",)}, "c4": {"terminal_punctuation": False}},
)


def refine(text: str, config: CleanConfig = EVERYTHING, url: str | None = None) -> Refined:
    cleaned = clean_page(text.encode("utf-8", "surrogatepass"), "text/plain", None, None, config)
    return Refiner(config, Path("nowhere")).refine(cleaned, url)


def test_a_document_with_all_that_was_changed():
    refined = refine("🙂 " + ENGLISH)
    assert refined.removal is None
    assert refined.text.startswith(":slightly_smiling_face: Please write to <EMAIL> before")
    assert "The office of <REDACTED> is open" in refined.text
    assert (refined.language.code, refined.counts["pii_email"], refined.counts["sensitive_words"]) == ("en", 1, 1)
    assert refined.counts["pii_bytes"] == len("jane@example.org") - len("<EMAIL>")


def test_what_is_removed_shows_a_redacted_sample():
    refined = refine(f"verboten. {ENGLISH}")
    assert refined.removal == Removal("bad_words", 1.0, 1.0, "verboten")
    assert "<EMAIL>" in refined.text
    assert "jane@" not in refined.text
    assert len(refine(f"verboten. {ENGLISH}", EVERYTHING.model_copy(update={"sample_characters": 9})).text) == 9


def test_an_extraction_that_failed_keeps_its_verdict():
    removal = Removal("too_large", 40.0, 32.0)
    assert Refiner(CleanConfig(), Path("nowhere")).refine(Cleaned("t", "", removal), None).removal == removal


def test_a_library_that_fails_costs_one_page(monkeypatch):
    refiner = Refiner(CleanConfig(), Path("nowhere"))

    def fail(page):
        raise RecursionError("too deep")

    monkeypatch.setattr(refiner._chain, "judge", fail)
    refined = refiner.refine(Cleaned("", ENGLISH), None)
    assert refined.removal is not None
    assert (refined.removal.reason, refined.removal.detail) == ("cleaning_failed", "RecursionError: too deep")


def test_spelling_is_corrected_in_its_language_alone():
    pytest.importorskip("spellchecker")
    config = CleanConfig(normalize={"spelling": "en"})
    assert "sentence" in refine(ENGLISH + " This is the last sentense of the page.", config).text
    german = "Alle Menschen sind frei und gleich an Würde und Rechten geboren, sentense, und begabt mit Vernunft. " * 3
    assert "sentense" in refine(german, config).text


@settings(max_examples=150, derandomize=True, deadline=None)
@given(
    st.binary(max_size=300)
    | st.text(max_size=200).map(lambda text: text.encode("utf-16"))
    | st.text("a1@.+-: \n\t\u00a0Ã©🙂中ก", max_size=400).map(str.encode)
)
def test_no_bytes_stop_a_shard(body):
    cleaned = clean_page(body, "text/plain", None, None, EVERYTHING)
    refined = Refiner(EVERYTHING, Path("nowhere")).refine(cleaned, "http://h.example/")
    assert refined.removal is None or refined.removal.reason != "cleaning_failed"
    json.dumps(refined.text).encode("utf-8")
    refined.text.encode("utf-8")


LONG_LINE = """
import json, sys, time
from pathlib import Path
from flows.recipe.load import load_recipe
from tasks.corpus.clean import CleanConfig
from tasks.corpus.clean.page import clean_page
from tasks.corpus.clean.refine import Refiner
from tests.memory import peak_megabytes
unit, size, config = sys.argv[1].encode(), int(sys.argv[2]), CleanConfig(**json.loads(sys.argv[3]))
body = unit * (size // len(unit))
started = time.process_time()
refined = Refiner(config, Path("nowhere")).refine(clean_page(body, "text/plain", None, None, config), None)
print(time.process_time() - started, peak_megabytes())
print(refined.removal.reason if refined.removal else "kept")
"""
UNITS = {"words": "lorem dolor 12 é ", "letters": "a", "han": "中", "digits": "1 ", "mojibake": "Ã©"}
LIFTED = {
    "use": FILTERS,
    "length": {"max_characters": 10**9},
    "gopher_quality": {"max_words": 10**9, "max_word_length": 1e9, "min_stop_words": 0, "min_letter_words": 0},
    "gopher_repetition": {"top_ngrams": (), "repeated_ngrams": ((5, 1.0),)},
    "fineweb": {"min_punctuated_lines": 0},
    "c4": {"terminal_punctuation": False, "min_words_per_line": 0, "min_sentences": 0, "max_word_length": 10**9},
}


def long_line(kind: str, size: int, filters: dict[str, Any]) -> tuple[float, float, str]:
    """Return CPU seconds, peak MB and the removal of one line of `size` bytes through everything."""
    config = json.dumps({"max_page_megabytes": 1000, "filters": filters})
    root = str(Path(__file__).resolve().parents[4])
    command = [sys.executable, "-c", LONG_LINE, UNITS[kind], str(size), config]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    numbers, removal = done.stdout.splitlines()
    seconds, megabytes = map(float, numbers.split())
    return seconds, megabytes, removal


@pytest.mark.slow
@pytest.mark.parametrize("kind", UNITS)
def test_a_line_of_100_megabytes_takes_bounded_time_and_memory(kind):
    seconds, megabytes, removal = long_line(kind, 100_000_000, {})
    assert removal == "length"
    assert seconds < 120
    assert megabytes < 3_000


@pytest.mark.slow
@pytest.mark.parametrize("kind", UNITS)
def test_the_time_of_all_filters_is_linear_in_one_line(kind):
    """With the limits lifted, so that each filter sees the whole line."""
    small, large = long_line(kind, 1_000_000, LIFTED), long_line(kind, 10_000_000, LIFTED)
    assert large[2] in ("kept", "gopher_quality")
    assert large[0] < 25 * max(small[0], 0.5)
    assert large[1] < 3_000


def test_a_whole_novel_is_kept_by_the_recipe_for_books_and_by_no_limits_of_the_web(tmp_path):
    chance = random.Random(4)
    known = ["".join(chance.choices("abcdefghiklmnoprstuvw", k=chance.randint(2, 9))) for _ in range(20_000)]
    lines = (
        f"The {' '.join(chance.choices(known, k=9))} of\n{' '.join(chance.choices(known, k=10))}." for _ in range(5000)
    )
    novel = Cleaned("A novel", "\n\n".join(lines))
    web = Refiner(CleanConfig(), tmp_path).refine(novel, None)
    assert web.removal is not None
    assert (web.removal.reason, web.removal.threshold) == ("gopher_quality", 100_000)
    assert Refiner(load_recipe("books").clean, tmp_path).refine(novel, None).removal is None
