"""flows/comparing/promotion.py: who may become the champion, and why not."""

from __future__ import annotations

import pytest

from data_lake.store.home import Home
from data_lake.store.lake import Artifact
from flows.comparing.promotion import Ruling, measured_alike, ruling
from flows.comparing.runs import CompareError
from flows.recipe.promote import PromoteConfig
from tests.evaluations import Runs, evaluation, items, questions

WEAK = [n % 4 == 0 for n in range(80)]
STRONG = [n % 4 < 3 for n in range(80)]
ACC = PromoteConfig(metrics=("b_acc",))


def asked(made: Runs, place: int) -> Artifact:
    """The evaluation of a run."""
    name = made.records[place].artifacts["evaluate-pretrain"]
    return next(one for one in made.lake.artifacts() if one.name == name)


def unneeded(champion: Artifact, like: Artifact) -> Artifact:
    raise AssertionError("the lake has that evaluation")


def ruled(made: Runs, model: Artifact, champion: str | None, config: PromoteConfig = ACC) -> Ruling:
    place = next(n for n, one in enumerate(made.records) if one.artifacts["pretrain"] == model.name)
    return ruling(model, asked(made, place), champion, config, Home.from_env(), unneeded)


def test_the_first_one_has_none_to_beat(made: Runs) -> None:
    model = made.run(WEAK, depth=6)
    found = ruled(made, model, None)
    assert (found.promoted, found.why) == (True, f"{model.name} is the first champion: there was none to beat.")
    assert ruled(made, model, model.name).why == f"{model.name} is the champion already."


def test_a_worse_one_is_refused_and_a_better_or_equal_one_is_not(made: Runs) -> None:
    weak, strong, same = made.run(WEAK, depth=6), made.run(STRONG, depth=12), made.run(STRONG[::-1], depth=13)
    refused = ruled(made, weak, strong.name)
    assert not refused.promoted
    assert f"{weak.name} is worse than the champion {strong.name}: b_acc 0.75 → 0.25 (p " in refused.why
    assert refused.comparison is not None
    assert [row.verdict for row in refused.comparison.rows] == ["worse"]
    assert ruled(made, strong, weak.name).why.startswith(f"{strong.name} beats {weak.name}: b_acc 0.25 → 0.75")
    assert ruled(made, same, strong.name).promoted
    strict = ruled(made, same, strong.name, PromoteConfig(metrics=("b_acc",), must_be="better"))
    assert (strict.promoted, "is not better than the champion" in strict.why) == (False, True)
    assert ruled(made, strong, weak.name, PromoteConfig(metrics=("b_acc",), must_be="better")).promoted


def test_only_the_named_metrics_count(made: Runs) -> None:
    weak = made.run(WEAK, [600.0 + n for n in range(12)], depth=6)
    strong = made.run(STRONG, [700.0 + n for n in range(12)], depth=12)
    assert ruled(made, strong, weak.name).promoted
    both = ruled(made, strong, weak.name, PromoteConfig(metrics=("b_acc", "bits_per_byte")))
    assert (both.promoted, "bits_per_byte" in both.why, "b_acc" in both.why) == (False, True, False)


def test_a_metric_that_happens_to_equal_another_one_can_be_named(made: Runs) -> None:
    weak, strong = made.run(WEAK, depth=6), made.run(STRONG, depth=12)
    same = PromoteConfig(metrics=("b_acc_norm",))
    assert ruled(made, strong, weak.name, same).promoted
    assert not ruled(made, weak, strong.name, same).promoted


def test_naming_more_metrics_makes_the_gate_narrower_and_not_wider(made: Runs) -> None:
    """After a correction for two metrics this one would no longer be called worse."""
    less = [right and n not in (1, 2, 5, 6, 9, 10) for n, right in enumerate(STRONG)]
    strong = made.run(STRONG, [700.0 + n for n in range(20)], depth=6)
    weaker = made.run(less, [700.0 + n + (-1) ** n for n in range(20)], depth=12)
    found = ruled(made, weaker, strong.name, PromoteConfig(metrics=("b_acc", "bits_per_byte")))
    assert found.comparison is not None
    assert {row.verdict for row in found.comparison.rows} == {"not distinguishable"}
    assert (found.promoted, "is worse than the champion" in found.why) == (False, True)


def test_a_champion_that_was_asked_other_questions_is_asked_these(made: Runs) -> None:
    old = made.run(STRONG, depth=6, asked="yesterday", benchmark="c")
    new = made.run(WEAK, depth=12)
    measured: list[str] = []

    def measure(champion: Artifact, like: Artifact) -> Artifact:
        measured.append(champion.name)
        return evaluation(made.lake, champion, questions(made.lake), items("b", STRONG))

    found = ruling(new, asked(made, 1), old.name, ACC, Home.from_env(), measure)
    assert (found.promoted, measured) == (False, [old.name])
    again = ruling(new, asked(made, 1), old.name, ACC, Home.from_env(), measure)
    assert (again.promoted, measured) == (False, [old.name])  # now the lake has it


def test_an_evaluation_with_other_settings_is_not_alike(made: Runs) -> None:
    model, other = made.run(WEAK, depth=6), made.run(STRONG, depth=12)
    like = asked(made, 1)
    found = measured_alike(model, like, made.lake.artifacts())
    assert found is not None
    assert found.name == asked(made, 0).name
    shots = like.manifest.model_copy(update={"payload": {**like.manifest.payload, "config": {"mmlu_shots": 5}}})
    assert measured_alike(model, Artifact(like.stage, like.key, like.path, shots), made.lake.artifacts()) is None
    assert measured_alike(other, like, []) is None


def test_a_champion_that_cannot_be_measured_keeps_its_place(made: Runs) -> None:
    new = made.run(WEAK, depth=12)
    gone = ruled(made, new, "pretrain/0123456789abcdef")
    assert (gone.promoted, "is not in this lake" in gone.why) == (False, True)
    old = made.run(STRONG, depth=6, asked="yesterday", benchmark="c")

    def broken(champion: Artifact, like: Artifact) -> Artifact:
        raise FileNotFoundError("questions/1234, which it read, is not in the lake any more.")

    failed = ruling(new, asked(made, 0), old.name, ACC, Home.from_env(), broken)
    assert (failed.promoted, "could not be asked the same questions: questions/1234" in failed.why) == (False, True)

    def nothing_shared(champion: Artifact, like: Artifact) -> Artifact:
        return asked(made, 1)

    apart = ruling(new, asked(made, 0), old.name, ACC, Home.from_env(), nothing_shared)
    assert (apart.promoted, "share no items of b_acc" in apart.why) == (False, True)


def test_a_metric_that_is_not_there_is_found_by_the_first_model(made: Runs) -> None:
    model = made.run(WEAK, [700.0] * 12, depth=6)
    with pytest.raises(
        CompareError, match=r"names 'b_ac', but evaluate/.* has bits_per_byte, b_acc, b_acc_norm\. Did you mean b_acc\?"
    ):
        ruled(made, model, None, PromoteConfig(metrics=("b_ac",)))
