"""tasks/evaluation/evaluate/contaminated.py: the two parts of a benchmark as words, if there are two."""

from __future__ import annotations

from tasks.evaluation.evaluate.contaminated import parts_in_words


def part(n: int, acc: float | None, stderr: float | None) -> dict[str, float | None]:
    return {"n": n, "acc": acc, "acc_stderr": stderr}


def test_both_parts_are_told_with_their_errors() -> None:
    found = {"metric": "acc", "clean": part(2, 0.5, 0.5), "contaminated": part(2, 0.0, 0.0)}
    assert parts_in_words(found) == " (clean 0.500 ± 0.500 of 2, contaminated 0.000 of 2)"
    assert parts_in_words({**found, "clean": part(0, None, None)}) == " (contaminated 0.000 of 2)"


def test_nothing_is_told_if_all_items_are_clean() -> None:
    assert parts_in_words({"metric": "acc", "clean": part(1, 1.0, None), "contaminated": part(0, None, None)}) == ""
