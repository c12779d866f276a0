"""Recipes, leaf by leaf: setting one changes that one, and the resolved recipe that is printed is the same recipe."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.graph.reference import reference
from flows.recipe.errors import RecipeError
from flows.recipe.explain import field_paths
from flows.recipe.load import load_recipe, recipe_names
from flows.recipe.recipe import Recipe, RecipeBase
from flows.recipe.yaml import to_yaml
from model.config import MUON_ONLY

# What is tried where a field's own kind does not say: texts with rules, entries with a form.
SPECIAL: dict[str, list[Any]] = {
    "crawl.seeds": [["https://example.org/"]],
    "crawl.honour": [["noai"]],
    "crawl.csv.delimiter": [";", "|"],
    "crawl.resolve": [{"example.org": ["127.0.0.1:1"]}],
    "clean.replace": [[["a", "b"]]],
    "clean.pii.types": [["email"]],
    "clean.pii.phone_regions": [["DE"]],
    "clean.pii.national_ids": [["de.idnr"], []],
    "clean.filters.use": [["length"]],
    "clean.filters.gopher_repetition.top_ngrams": [[[2, 0.5]]],
    "clean.filters.gopher_repetition.repeated_ngrams": [[[5, 0.5]]],
    "clean.filters.classifiers": [[{"labelled": ["a.jsonl"]}]],
    "clean.normalize.emoji": ["text"],
    "tokenizer.algorithm": ["unigram"],
    "tokenizer.ready": ["gpt2"],
    "pretrain.model.preset": ["gpt2-124m"],
    "pretrain.model.network": ["encoder", "decoder"],
    "pretrain.documents": ["separate"],
    "pretrain.start": ["induction"],
    "pretrain.model.d_head": [64],
    "pretrain.model.rope_scaling": [{"factor": 4.0}],
    "pretrain.training.optimizer": ["muon", "adamw"],
    "sft.training.optimizer": ["muon", "adamw"],
    "judge": [{"data": ["asked.jsonl"]}],  # without, it needs what sft holds out
    "seq2seq.model.d_head": [64],
    "seq2seq.long_sources": ["cut"],
    "seq2seq.training.optimizer": ["muon", "adamw"],
    "pretrain.mix.sources": [[{"name": "a"}]],
    "sft.adapter": [{"rank": 4}],
    "sft.prompt": ["alpaca", "phi3"],
    "sft.sources": [[{"data": ["asked.jsonl"]}]],
    "pretrain.adapter": [{"rank": 4}],
    "questions.benchmarks": [{"piqa": {"path": "piqa.jsonl"}}],
    "questions.contamination": [{"words": 9}],
    "import_model.max_seq_len": [64],
    "classify.training.optimizer": ["muon", "adamw"],
    "reward.training.optimizer": ["muon", "adamw"],
    "reward.pooling": ["mean"],
    "reward.trained": ["head"],
    "dpo.training.optimizer": ["muon", "adamw"],
    "distil.training.optimizer": ["muon", "adamw"],
    "distil.divergence": ["reverse"],
    "quantise.method": ["gptq"],
    "quantise.bits": [4],
    "dpo.loss": ["ipo"],
    "dpo.label_smoothing": [0.1],
    "classify.max_tokens": [64],
    "classify.pooling": ["mean", "last"],
    "classify.curve.labels": [[3]],
    "classify.trained": ["head"],
    "classify.balance": ["undersample", "none"],
    "classify.class_weights": ["balanced"],
    "classify.curve": [{}],
    **{
        section: [{}]
        for section in (
            "import_model",
            "pairs",
            "pretrain",
            "classify",
            "sft",
            "grpo",
            "ppo",
            "distil",
            "quantise",
            "evaluate",
            "export",
        )
    },
    "evaluate.toxicity": [{"limit": 3}],
    "evaluate.models": [["sft"]],
    "ask.models": [["sft"]],
    "grpo.tasks": [["copy"]],
    "grpo.loss": ["grpo"],
    "grpo.training.optimizer": ["muon", "adamw"],
    **{f"{stage}.adapter": [{"rank": 4}] for stage in ("reward", "dpo", "grpo")},
    "schedule.timezone": ["Europe/Berlin"],
    "schedule.cron": ["1 4 * * *"],
}
TRAINED = ("pretrain", "classify", "sft", "reward", "dpo", "grpo", "ppo", "distil", "seq2seq")
# Fields that mean something only together with others.
TOGETHER = {
    "pretrain.tokens_per_weight",
    "pretrain.mix.temperature",
    # beside an imported model, which has a tokenizer of its own; and the only format
    "tokenizer.keep",
    "tokenizer.ready",
    "tokenizer.files",
    "export.formats",
    "pretrain.mix.rest.weight",
    "pretrain.mix.rest.max_epochs",
    "pretrain.model.n_encoder_layer",
    "seq2seq",
    "quantise",  # needs a model that writes texts, and held-out text
    "distil",  # the same
    "preferences",  # of files, where there is no corpus
    "reward",
    "dpo",
    "seq2seq.model.preset",
    "seq2seq.model.network",  # there is no other
    "pairs.source",
    "pairs.target",
    "sft.sources",  # instead of data
    *(f"{stage}.training.{name}" for stage in TRAINED for name in MUON_ONLY),
    "classify",  # needs a model to begin with
    "index",  # needs a corpus
    "ask",  # needs an index
    "classify.text",  # by numbers: both columns or none
    "classify.label",
    "pretrain.start",
    "pretrain.repeats",
    "pretrain.masking.share",
    "pretrain.masking.whole_words",
    "grpo.rewards.tests",  # a weight, and the file that is run
    "grpo.rewards.tests_file",
}
SAME_LEAVES = {"demo-base", "demo-full"}  # as demo, spam and gpt2, which are tried
# What leaves other fields no choice is taken back first: the circuit to begin with, a rate that only Muon has.
TAKEN_BACK = {
    "demo": [
        "pretrain.start=random", "pretrain.repeats=0", "pretrain.model.rope_theta=10000",
        "sft.training.matrix_learning_rate=0.02",
    ]
}  # fmt: skip
# Names for the values of several other fields.
SHORT_FORMS = {"dedup.profile", "pretrain.model.preset", "pretrain.depth"}


def leaves(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every leaf by its dotted path; an empty mapping is one."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= leaves(value, f"{prefix}{name}.") if isinstance(value, dict) and value else {f"{prefix}{name}": value}
    return found


def others(path: str, value: Any) -> Iterator[Any]:
    """Values that a field may have instead."""
    yield from SPECIAL.get(path, [])
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield from (value + 1, value * 2, value / 2, value - 1, 1, 2, 0.5)
    elif isinstance(value, str):
        yield from ("other", "en", "cpu", "text/html", "cosine", "float32", "pydoc", "quality", "drop", "report")
        yield from ("none", "constant", "gpt2", "newest", "light-edits", "tokenizer/0123456789abcdef")
    elif isinstance(value, list):
        yield from (["other"], [])
    else:
        yield from (3, 0.5, "other", {})


def changed_leaves(before: RecipeBase, after: RecipeBase) -> dict[str, Any]:
    old, new = leaves(before.model_dump(mode="json")), leaves(after.model_dump(mode="json"))
    return {path: new.get(path) for path in old.keys() | new.keys() if old.get(path) != new.get(path)}


@pytest.mark.parametrize("name", [*(name for name in recipe_names() if name not in SAME_LEAVES), None])
def test_setting_one_leaf_changes_exactly_that_leaf(name: str | None, tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("name: empty\n")
    wanted = name or tmp_path / "empty.yaml"
    given = TAKEN_BACK.get(name or "", [])
    before = load_recipe(wanted, given)
    not_set = []
    for path, value in leaves(before.model_dump(mode="json")).items():
        if path in ("name", "description", "schedule", "variants"):
            continue
        for other in others(path, value):
            if other == value:
                continue
            try:
                after = load_recipe(wanted, [*given, f"{path}={json.dumps(other)}"])
            except RecipeError:
                continue
            changed = changed_leaves(before, after)
            found = {changed_path for changed_path in changed if not changed_path.startswith(f"{path}.")} | {path}
            assert found == {path} or path in SHORT_FORMS, f"{path} = {other!r} changed {changed}"
            break
        else:
            not_set.append(path)
    assert set(not_set) <= TOGETHER, f"no other value was found for {not_set}; name one in SPECIAL"


def test_a_partly_given_section_is_the_same_by_every_door(tmp_path: Path) -> None:
    """In a file, in one that extends another, by --set of a field and of the section, as a flow's parameter."""
    (tmp_path / "base.yaml").write_text("sft: {samples: 3}\n")
    files = {
        "own.yaml": "sft:\n  samples: 3\n  training:\n    steps: 301\n  runtime:\n",
        "child.yaml": "extends: base.yaml\nsft: {training: {steps: 301}}\n",
        "empty.yaml": "extends: base.yaml\nsft:\n  training:\n    # steps: 5\n",
    }
    for file, text in files.items():
        (tmp_path / file).write_text(text)
    found = [
        load_recipe(tmp_path / "own.yaml"),
        load_recipe(tmp_path / "child.yaml"),
        load_recipe(tmp_path / "base.yaml", ["sft.training.steps=301"]),
        load_recipe(tmp_path / "base.yaml", ["sft.training={steps: 301}"]),
        load_recipe(tmp_path / "base.yaml", ["sft={training: {steps: 301}}"]),
        load_recipe(tmp_path / "empty.yaml", ["sft.training.steps=301"]),
        Recipe.model_validate({"sft": {"samples": 3, "training": {"steps": 301}}}),
    ]
    for recipe in found:
        training = recipe.config("sft").training  # type: ignore[attr-defined]
        assert (training.steps, training.learning_rate, training.weight_decay) == (301, 5e-4, 0.0)
        assert recipe.configs() == found[0].configs()


def test_one_entry_of_a_defaults_list_can_be_set() -> None:
    after = load_recipe("gpt3-mix", ["clean.filters.gopher_repetition.top_ngrams.1.1=0.5", "crawl.mime.0=text/x"])
    assert after.clean.filters.gopher_repetition.top_ngrams == ((2, 0.2), (3, 0.5), (4, 0.16))  # type: ignore[attr-defined]
    assert after.crawl.mime == ("text/x", *Recipe().crawl.mime[1:])  # type: ignore[attr-defined]


def test_a_list_of_a_stage_with_profiles_can_be_set() -> None:
    recipe = load_recipe("gpt3-mix", ["dedup.against=[dedup/0123]", "dedup.profile=light-edits", "dedup.rows=3"])
    dedup = recipe.config("dedup")
    assert (dedup.against, dedup.shingle_words, dedup.rows) == (("dedup/0123",), 2, 3)  # type: ignore[attr-defined]


def test_a_linked_section_that_is_partly_given_keeps_the_rest_of_what_it_is_linked_to() -> None:
    overrides = ["decontaminate.detection={words: 8, max_documents: 3}", "questions.contamination.words=5"]
    contamination = load_recipe("demo", overrides).questions.contamination  # type: ignore[attr-defined]
    assert (contamination.words, contamination.max_documents) == (5, 3)


@pytest.mark.parametrize("name", recipe_names())
def test_the_printed_recipe_is_the_same_recipe_one_field_a_line(name: str, tmp_path: Path) -> None:
    awkward = [
        "12:30",
        "1e-3",
        "no",
        "~",
        "",
        " a ",
        "a: b # c",
        "{x}",
        "['",
        "tab\tand\nline",
        "ż\u2028\x1b[31m",
        "0x1",
    ]
    recipe = load_recipe(name, [f"pretrain.samples.prompts={json.dumps(awkward)}", "sft.training.eps=1e-9"])
    text = to_yaml(recipe.model_dump(mode="json"))
    path = tmp_path / "again.yaml"
    path.write_text(text, encoding="utf-8")
    assert load_recipe(path) == recipe
    named = [line.split(":")[0].strip() for line in text.splitlines()]
    assert named.count("learning_rate") == sum(getattr(recipe, stage) is not None for stage in TRAINED)
    assert len(named) == len([p for p in field_paths(Recipe) if _is_there(recipe, p)])
    assert "\x1b" not in text


def _is_there(recipe: RecipeBase, path: str) -> bool:
    value: Any = recipe.model_dump(mode="json")
    for part in path.split("."):
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return True


def test_the_reference_has_the_defaults_that_the_fields_hold() -> None:
    text = reference()
    section = text[text.index("## sft") :]
    assert "| `training.learning_rate` | `0.0005` |" in section
    assert "| `training.steps` | `300` |" in section


def test_yaml_of_ours_is_yaml_of_others(tmp_path: Path) -> None:
    text = to_yaml(load_recipe("demo", ["sft.training.steps=207"]).model_dump(mode="json"))
    assert yaml.safe_load(text)["sft"]["training"]["steps"] == 207
