"""flows/graph/pipeline.py: the graph of a recipe: optional stages, pinned inputs, what two sections agree on, variants.

Also covers: flows/graph/agreed.py
Also covers: flows/graph/stages.py
Also covers: flows/graph/variants.py
"""

from __future__ import annotations

import time
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from data_lake.store.lake import Lake
from flows.graph.node import AnyNode, Graph, Pinned
from flows.graph.plan import make_plan
from flows.graph.stages import STAGES
from flows.graph.variants import graph_of
from flows.recipe.errors import RecipeError
from flows.recipe.recipe import Recipe
from tasks.evaluation.evaluate.config import ModelStage
from tasks.stage import kinds
from tasks.stage.config import identity

PAIRS: dict[str, Any] = {"pairs": {}, "seq2seq": {}}


def names(graph: Graph) -> list[str]:
    return [node.name for node in graph.nodes]


def config(graph: Graph, name: str) -> Any:
    return graph.select(name)[0].config


def reads(graph: Graph, name: str) -> dict[str, AnyNode]:
    return dict(graph.select(name)[0].inputs)


SECTIONS = [name for name in STAGES if name != "benchmarks"]  # which reads what `questions.benchmarks` names
ENCODERS = {"evaluate_encoder"}
FOR_OTHERS = {"reference", "teacher"}  # which are there if dpo or distil asks for them
OFF = {name for name in SECTIONS if getattr(Recipe(), name) is None}


def test_every_stage_is_a_section_and_in_the_graph_unless_it_is_off() -> None:
    assert {node.stage.name for node in graph_of(Recipe()).nodes} == set(SECTIONS) - OFF - ENCODERS - FOR_OTHERS
    assert list(Recipe.model_validate({name: {} for name in OFF}).configs()) == SECTIONS
    graph = graph_of(Recipe.model_validate({name: {} for name in OFF}))
    assert {node.stage.name for node in graph.nodes} == set(SECTIONS) - ENCODERS


def test_an_imported_model_is_gone_on_from_with_its_vocabulary() -> None:
    graph = graph_of(Recipe.model_validate({"import_model": {"folder": "there"}}))
    imported = graph.select("import_model")[0]
    assert reads(graph, "pretrain")["base"] is reads(graph, "tokenizer")["base"] is imported
    assert reads(graph, "pretrain")["tokenizer"] is reads(graph, "tokenize")["tokenizer"]
    assert reads(graph, "sft")["base"].base_name == "pretrain"
    assert [name for name in names(graph) if name.startswith("evaluate")] == [
        "evaluate-import_model", "evaluate-pretrain", "evaluate-sft",
    ]  # fmt: skip


def test_an_imported_model_may_stay_as_it_is() -> None:
    graph = graph_of(Recipe.model_validate({"import_model": {"folder": "there"}, "pretrain": None, "export": {}}))
    assert not {"tokenizer", "tokenize", "pretrain"} & set(names(graph))
    assert reads(graph, "sft")["base"].base_name == "import_model"
    assert [name for name in names(graph) if name.startswith("export")] == ["export-import_model", "export-sft"]


def test_a_fine_tuning_reads_tokens_of_the_pages_only_if_it_replays_them() -> None:
    assert set(reads(graph_of(Recipe()), "sft")) == {"corpus", "base"}
    graph = graph_of(Recipe.model_validate({"sft": {"replay": 1}}))
    assert reads(graph, "sft")["tokens"] is reads(graph, "pretrain")["tokens"]
    imported = {"import_model": {"folder": "there"}, "pretrain": None, "sft": {"replay": 1}}
    graph = graph_of(Recipe.model_validate(imported))
    assert reads(graph, "sft")["tokens"].name == "tokenize"
    assert reads(graph, "tokenizer")["base"].name == "import_model", "in the model's own tokens"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"pretrain": None}, "there is no model"),
        ({"import_model": {"folder": "there"}, "tokenizer": {"keep": "tokenizer/01"}}, "has a tokenizer of its own"),
        ({"import_model": {"folder": "there"}, "tokenizer": {"ready": "gpt2"}}, "has a tokenizer of its own"),
    ],
)
def test_a_recipe_has_one_model_to_begin_with(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Recipe.model_validate(given)


def test_an_encoder_writes_no_answers_and_is_measured_by_a_stage_of_its_own() -> None:
    recipe = Recipe.model_validate({"pretrain": {"model": {"network": "encoder"}}, "sft": None})
    assert names(graph_of(recipe))[-2:] == ["pretrain", "evaluate_encoder-pretrain"]
    assert reads(graph_of(recipe), "evaluate_encoder")["model"].name == "pretrain"
    assert names(graph_of(recipe.model_copy(update={"evaluate_encoder": None})))[-1] == "pretrain"


def test_official_benchmarks_are_read_once_and_asked_by_their_content() -> None:
    asked = {"arc_easy": {"path": "arc/", "shots": 25}, "piqa": {"path": ["a.jsonl", "b.jsonl"], "limit": 50}}
    graph = graph_of(Recipe.model_validate({"questions": {"benchmarks": asked}}))
    read = config(graph, "benchmarks")
    assert {name: files.path for name, files in read.files.items()} == {
        "arc_easy": ("arc/",), "piqa": ("a.jsonl", "b.jsonl"),
    }  # fmt: skip
    assert read.shots == ("arc_easy",)
    assert reads(graph, "questions")["benchmarks"] is graph.select("benchmarks")[0]
    assert reads(graph, "decontaminate")["benchmarks"] is graph.select("benchmarks")[0]
    chosen = config(graph, "questions").benchmarks
    assert (chosen["arc_easy"].path, chosen["arc_easy"].shots, chosen["piqa"].limit) == ((), 25, 50)
    assert "benchmarks" not in names(graph_of(Recipe()))


def test_a_stage_that_is_off_is_not_in_the_graph() -> None:
    assert "sft" not in names(graph_of(Recipe(sft=None)))
    assert not any("evaluate" in name for name in names(graph_of(Recipe(evaluate=None))))


def test_models_may_be_evaluated_in_part_and_their_keys_stay_the_same() -> None:
    models = {name for name, stage in STAGES.items() if issubclass(stage.makes, kinds.Model)}
    assert set(get_args(ModelStage)) == models - {"seq2seq"}  # which answers no such questions
    sections: dict[str, Any] = {"preferences": {}, "dpo": {"loss": "cpo"}, "grpo": {}, "ppo": {}}
    everything = graph_of(Recipe.model_validate(sections))
    some = graph_of(Recipe.model_validate({**sections, "evaluate": {"models": ["sft", "ppo"]}}))
    assert [name for name in names(everything) if name.startswith("evaluate")] == [
        "evaluate-pretrain", "evaluate-sft", "evaluate-dpo", "evaluate-grpo", "evaluate-ppo",
    ]  # fmt: skip
    assert [name for name in names(some) if name.startswith("evaluate")] == ["evaluate-sft", "evaluate-ppo"]
    assert identity(config(some, "evaluate-sft")) == identity(config(everything, "evaluate-sft"))
    with pytest.raises(RecipeError, match="dpo is not evaluated"):
        graph_of(Recipe.model_validate({**sections, "evaluate": {"models": ["sft"]}, "promote": {"node": "dpo"}}))


def test_models_that_answer_are_asked_about_the_pages_all_of_them_or_those_that_are_named() -> None:
    sections: dict[str, Any] = {
        "index": {}, "ask": {}, "grpo": {}, "distil": {}, "quantise": {"of": ["pretrain", "sft"]},
    }  # fmt: skip
    everything = graph_of(Recipe.model_validate(sections))
    asked = ["ask-sft", "ask-grpo", "ask-quantise-sft"]  # and none that was taught no chat
    assert [name for name in names(everything) if name.startswith("ask")] == asked
    some = graph_of(Recipe.model_validate({**sections, "ask": {"models": ["sft"]}}))
    assert [name for name in names(some) if name.startswith("ask")] == ["ask-sft"]
    assert identity(config(some, "ask-sft")) == identity(config(everything, "ask-sft"))
    with pytest.raises(ValidationError, match="distil, whose model is taught no chat"):
        Recipe.model_validate({**sections, "ask": {"models": ["distil"]}})
    imported = {"import_model": {"folder": "there"}, "pretrain": None, "sft": None, "index": {}, "ask": {}}
    assert "ask-import_model" in names(graph_of(Recipe.model_validate(imported)))


def test_what_is_kept_or_compared_with_is_an_input() -> None:
    recipe = Recipe.model_validate(
        {
            "tokenizer": {"keep": "tokenizer/01"}, "dedup": {"against": ["dedup/02", "dedup/03"]},
            "clean": {"filters": {"classifiers": [{"labelled": ["a.jsonl"], "name": "own"},
                                                  {"trained_by": "classify/04", "label": "spam"}]}},
        }
    )  # fmt: skip
    graph = graph_of(recipe)
    assert "tokenizer" not in names(graph)
    assert reads(graph, "tokenize")["tokenizer"] is reads(graph, "pretrain")["tokenizer"]
    assert isinstance(reads(graph, "tokenize")["tokenizer"], Pinned)
    assert {role: node.name for role, node in reads(graph, "clean").items()} == {
        "pages": "crawl", "classifiers[0]": "classify/04",
    }  # fmt: skip
    assert [node.name for role, node in reads(graph, "dedup").items() if "against" in role] == ["dedup/02", "dedup/03"]


def test_variants_share_the_data_side() -> None:
    recipe = Recipe(variants={f"d{n}": {"pretrain": {"model": {"n_layer": n}}} for n in (2, 4)})
    graph = graph_of(recipe)
    shared = ["crawl", "clean", "dedup", "decontaminate", "tokenizer", "tokenize"]
    assert [name for name in names(graph) if "@" not in name][: len(shared)] == shared
    assert {"pretrain@d2", "pretrain@d4", "sft@d2", "sft@d4"} <= set(names(graph))
    assert config(graph, "pretrain@d2").model.n_layer == 2


def test_a_variant_may_turn_a_stage_on_and_another_off() -> None:
    recipe = Recipe(sft=None, variants={"base": {}, "chat": {"sft": {"samples": 3}}})
    graph = graph_of(recipe)
    assert [name for name in names(graph) if name.startswith(("pretrain", "sft"))] == ["pretrain", "sft@chat"]
    assert config(graph, "sft").samples == 3


def test_a_plan_of_twenty_variants_prints_shared_nodes_once_and_is_quick(tmp_path: Any) -> None:
    recipe = Recipe(variants={f"v{n}": {"pretrain": {"training": {"steps": n + 1}}} for n in range(20)})
    began = time.process_time()
    rows = make_plan(graph_of(recipe), Lake(tmp_path / "lake")).rows
    assert sum(row.node == "crawl" for row in rows) == 1
    assert sum(row.stage == "pretrain" for row in rows) == 20
    assert time.process_time() - began < 60, "something is done once for each variant that is the same for all"


@pytest.mark.parametrize("own", [{}, {"contamination": {"words": 5}}])
def test_contamination_is_found_as_decontaminate_finds_it(own: dict[str, Any]) -> None:
    section = next(name for name, made in Recipe().configs().items() if "contamination" in type(made).model_fields)
    recipe = Recipe.model_validate({"decontaminate": {"detection": {"words": 8, "max_documents": 3}}, section: own})
    found = config(graph_of(recipe), section).contamination
    assert (found.words, found.max_documents) == (5 if own else 8, 3)


def test_the_benchmarks_that_are_asked_are_the_ones_that_are_looked_for() -> None:
    section = next(
        name for name, made in Recipe().configs().items() if {"mmlu", "max_items"} <= type(made).model_fields.keys()
    )
    recipe = Recipe.model_validate({section: {"mmlu": "there"}})
    assert config(graph_of(recipe), "decontaminate").mmlu == "there"
    recipe = Recipe.model_validate({section: {"mmlu": "there"}, "decontaminate": {"mmlu": ""}})
    assert config(graph_of(recipe), "decontaminate").mmlu == ""


def test_every_model_has_an_evaluation_of_its_own_and_all_are_asked_the_same() -> None:
    graph = graph_of(Recipe())
    (corpus,) = reads(graph, "questions").values()
    assert corpus.base_name == "decontaminate"
    for model in ("pretrain", "sft"):
        inputs = reads(graph, f"evaluate-{model}")
        assert {role: one.base_name for role, one in inputs.items()} == {"model": model, "questions": "questions"}
    without = names(graph_of(Recipe(sft=None)))
    assert [name for name in without if name.startswith("evaluate")] == ["evaluate-pretrain"]
    assert "questions" not in names(graph_of(Recipe(evaluate=None)))


@pytest.mark.parametrize(
    ("changes", "new"),
    [
        ({"sft": {"max_examples": 7}}, ["sft@a", "evaluate-sft@a", "sft@b", "evaluate-sft@b"]),
        ({"sft": None}, ["sft@a", "evaluate-sft@a"]),
        ({"questions": {"max_items": 7}}, None),
    ],
)
def test_a_new_model_changes_neither_the_questions_nor_the_evaluation_of_another(
    changes: dict[str, Any], new: list[str] | None
) -> None:
    found = [name for name in names(graph_of(Recipe(variants={"a": {}, "b": changes}))) if "@" in name]
    assert found == new or (new is None and {"questions@b", "evaluate-pretrain@b"} <= set(found))
    assert new is not None or not any(name.startswith(("pretrain", "sft")) for name in found)


def test_the_corpus_is_the_same_whether_a_model_of_it_is_evaluated_or_not() -> None:
    section = {"questions": {"mmlu": "there"}}
    with_models, alone = (graph_of(Recipe.model_validate(section | more)) for more in ({}, {"evaluate": None}))
    assert config(with_models, "decontaminate") == config(alone, "decontaminate")


def test_pairs_need_no_corpus_and_give_their_own_vocabulary() -> None:
    graph = graph_of(Recipe.model_validate({"crawl": None, **PAIRS}))
    assert names(graph) == ["pairs", "tokenizer", "seq2seq"]
    assert [one.base_name for one in reads(graph, "tokenizer").values()] == ["pairs"]
    kept = graph_of(Recipe.model_validate({"crawl": None, "tokenizer": {"keep": "tokenizer/01"}, **PAIRS}))
    assert names(kept) == ["pairs", "seq2seq"]
    assert isinstance(reads(kept, "seq2seq")["tokenizer"], Pinned)


def test_beside_a_corpus_pairs_share_its_vocabulary_and_no_question_is_asked_of_their_model() -> None:
    graph = graph_of(Recipe.model_validate(PAIRS))
    assert reads(graph, "seq2seq")["tokenizer"] is reads(graph, "pretrain")["tokenizer"]
    assert [name for name in names(graph) if name.startswith("evaluate")] == ["evaluate-pretrain", "evaluate-sft"]
    alone = names(graph_of(Recipe.model_validate({"pairs": {}})))
    assert "pairs" in alone
    assert "seq2seq" not in alone


@pytest.mark.parametrize(
    ("given", "said"), [({"crawl": None}, "nothing to make"), ({"seq2seq": {}}, "name their files in pairs.data")]
)
def test_a_recipe_with_nothing_to_make_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Recipe.model_validate(given)


def test_an_imported_model_may_leave_without_a_corpus() -> None:
    recipe = Recipe.model_validate({"crawl": None, "import_model": {"folder": "there"}, "export": {}})
    assert names(graph_of(recipe)) == ["import_model", "export-import_model"]


def test_labels_are_learned_from_the_base_model_of_files_or_of_the_corpus() -> None:
    graph = graph_of(Recipe.model_validate({"classify": {}}))
    assert {role: node.name for role, node in reads(graph, "classify").items()} == {
        "base": "pretrain", "corpus": "decontaminate",
    }  # fmt: skip
    given = {"classify": {"data": ["a.csv"]}, "pretrain": {"model": {"network": "encoder"}}, "sft": None}
    assert list(reads(graph_of(Recipe.model_validate(given)), "classify")) == ["base"]
    alone = {"crawl": None, "pretrain": None, "import_model": {"folder": "there"}, "sft": None}
    both = graph_of(Recipe.model_validate({**alone, "classify": {"data": ["a.csv"]}}))
    assert names(both) == ["import_model", "classify"]
    with pytest.raises(ValidationError, match=r"name files of texts with labels in classify\.data"):
        Recipe.model_validate({**alone, "classify": {}})
    with pytest.raises(ValidationError, match="classify has no model to begin with"):
        Recipe.model_validate({"crawl": None, "pairs": {}, "classify": {"data": ["a.csv"]}})


def test_grpo_is_rewarded_by_the_recipes_own_reward_model_if_it_asks_for_it() -> None:
    given = {"preferences": {}, "reward": {}, "grpo": {"rewards": {"model": 1.0}}}
    graph = graph_of(Recipe.model_validate(given))
    assert reads(graph, "grpo")["reward"] is graph.select("reward")[0]
    plain = graph_of(Recipe.model_validate({**given, "grpo": {}}))
    assert "reward" not in reads(plain, "grpo")


def test_ppo_goes_on_from_grpo_and_alone_from_what_comes_before_it() -> None:
    both = graph_of(
        Recipe.model_validate({"grpo": {}, "ppo": {"rewards": {"model": 1.0}}, "preferences": {}, "reward": {}})
    )
    assert reads(both, "ppo")["base"] is both.select("grpo")[0]
    assert reads(both, "ppo")["reward"] is both.select("reward")[0]
    assert "evaluate-ppo" in names(both)
    alone = graph_of(Recipe.model_validate({"ppo": {"data": ["tasks.jsonl"]}}))
    assert {role: node.name for role, node in reads(alone, "ppo").items()} == {"base": "sft"}


def test_the_last_model_is_quantised_or_those_that_are_named_and_all_are_evaluated() -> None:
    graph = graph_of(Recipe.model_validate({"quantise": {}, "memorisation": {}}))
    assert {role: node.name for role, node in reads(graph, "quantise-sft").items()} == {
        "model": "sft", "tokens": "tokenize",
    }  # fmt: skip
    assert {"evaluate-quantise-sft", "memorisation-quantise-sft"} < set(names(graph))
    both = names(graph_of(Recipe.model_validate({"quantise": {"of": ["pretrain", "sft"]}})))
    assert [name for name in both if name.startswith("quantise")] == ["quantise-pretrain", "quantise-sft"]
    given = {"import_model": {"folder": "there"}, "pretrain": None, "quantise": {}, "memorisation": {}}
    alone = graph_of(Recipe.model_validate(given))
    assert reads(alone, "quantise-sft")["tokens"].name == "tokenize", "held-out text in the model's own tokens"
    assert not any(name.startswith("memorisation") for name in names(alone)), "what it was trained on is not known"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"crawl": None, "import_model": {"folder": "there"}}, "there is none: crawl is null"),
        ({"pretrain": {"model": {"network": "encoder"}}, "sft": None}, "models that write texts"),
        ({"quantise": {"of": ["dpo"]}}, "names dpo, but models are made by pretrain, sft here"),
    ],
)
def test_without_a_model_or_text_to_measure_it_on_nothing_is_quantised(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Recipe.model_validate({"quantise": {}, **given})


def test_a_student_learns_from_the_model_before_sft_and_is_a_model_like_any_other() -> None:
    graph = graph_of(Recipe.model_validate({"distil": {}, "quantise": {}, "export": {}}))
    assert {role: node.name for role, node in reads(graph, "distil").items()} == {
        "logits": "teacher-pretrain", "tokens": "tokenize", "tokenizer": "tokenizer",
    }  # fmt: skip
    assert reads(graph, "teacher-pretrain")["model"] is graph.select("pretrain")[0]
    assert config(graph, "teacher-pretrain").seq_len == config(graph, "distil").model.max_seq_len
    assert reads(graph, "sft")["base"].name == "pretrain"
    assert {"evaluate-distil", "export-distil", "quantise-sft"} < set(names(graph))
    named = graph_of(Recipe.model_validate({"distil": {}, "quantise": {"of": ["distil"]}}))
    assert "quantise-distil" in names(named)
    imported = {"import_model": {"folder": "there"}, "pretrain": None, "distil": {}}
    alone = graph_of(Recipe.model_validate(imported))
    assert reads(alone, "distil")["tokenizer"].name == "tokenizer"
    assert reads(alone, "tokenizer")["base"].name == reads(alone, "teacher-import_model")["model"].name
