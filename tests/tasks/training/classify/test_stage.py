"""tasks/training/classify: labels are learned from tables and pages, beside controls; what cannot be used is counted.

Also covers: model/classification.py
Also covers: tasks/training/classify/config.py
Also covers: tasks/training/classify/controls.py
Also covers: tasks/training/classify/curve.py
Also covers: tasks/training/classify/gather.py
Also covers: tasks/training/classify/learning.py
Also covers: tasks/training/classify/pictures.py
Also covers: tasks/training/classify/preflight.py
Also covers: tasks/training/classify/reading.py
Also covers: tasks/training/classify/splitting.py
Also covers: tasks/delivery/labelling.py
Also covers: tasks/stage/columns.py
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import Field, ValidationError

from data_lake.reading.catalog import Catalog
from data_lake.store.lake import Artifact, Lake
from data_lake.tables.documents import SPLITS
from flows.recipe.load import load_recipe
from model.folder import load_headed, save_model
from model.gpt import GPT
from model.shape import GPTConfig
from model.tokenizer import Tokenizer
from tasks.corpus.splits import documents_of
from tasks.delivery.labelling import Labeller
from tasks.stage import Output, PermanentError, StageConfig, kinds, local_output, stage
from tasks.stage.preflight import Facts
from tasks.training.classify import ClassifyConfig, classify
from tasks.training.classify.reading import rows_of_file
from tests.tasks.pydoc_corpus import PagesConfig, build_corpus, decontaminate

COMMON = ("we", "go", "to", "the", "shop", "at", "noon", "and", "come", "home")
OWN = {"ham": ("mother", "lunch", "bus"), "spam": ("prize", "winner", "claim")}
RUNTIME = {"threads": 1, "precision": "float32", "checkpoint_seconds": 1e9, "validate_every": 4, "log_every": 1}
TINY: dict[str, Any] = {
    "training": {"steps": 8, "batch_size": 8, "learning_rate": 1e-2},
    "controls": False,
    "runtime": RUNTIME,
}


def messages(number: int) -> list[dict[str, str]]:
    """Return different messages, of which those of a label have a word that those of the other never have."""
    draw = random.Random(0)
    rows = []
    for place in range(number):
        label = ("ham", "spam")[place % 2]
        words = [*draw.choices(COMMON, k=6), draw.choice(OWN[label]), f"n{place}"]
        rows.append({"text": " ".join(draw.sample(words, len(words))), "label": label})
    return rows


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


class ShapeConfig(StageConfig):
    """Which network has random weights."""

    network: Literal["decoder", "encoder"] = Field("decoder", description="its kind")


@stage(makes=kinds.Model, version=1)
def begun(config: ShapeConfig, out: Output) -> None:
    """A network as pretraining leaves it, but with random weights, whose tokens are bytes."""
    roles = ("bos", "eos", "pad")
    specials = {f"<|{role}|>": 256 + number for number, role in enumerate(roles)}
    tokenizer = Tokenizer(
        {bytes([b]): b for b in range(256)}, r"\s+|\S+", specials, roles={role: f"<|{role}|>" for role in roles}
    )
    shape = GPTConfig(
        vocab_size=tokenizer.vocab_size, n_layer=2, n_head=2, n_kv_head=2, d_model=32, d_ff=48, max_seq_len=80,
        network=config.network,
    )  # fmt: skip
    save_model(GPT(shape).initialise(0), out.dir, tokenizer_sha256=tokenizer.sha256, chat_template=None)
    tokenizer.save(out.dir / "tokenizer")


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Artifact]:
    """Return a decoder or an encoder with random weights."""
    lake = Lake(tmp_path_factory.mktemp("bases") / "lake")

    def make(network: str) -> Artifact:
        return begun.build(lake, ShapeConfig(network=network), {}).artifact  # type: ignore[arg-type]

    return make


def run(config: ClassifyConfig, folder: Path, base: Artifact) -> Output:
    out = local_output(folder)
    classify(config, out, corpus=None, base=base)
    return out


def test_in_a_lake_it_is_found_again_until_its_files_change(
    bases: Callable[[str], Artifact], lake: Lake, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.jsonl", messages(40))
    config, given = ClassifyConfig(**{**TINY, "data": (path,)}), {"base": bases("decoder")}
    made = classify.build(lake, config, given).artifact
    assert made.manifest.kind == "Classifier"
    assert classify.build(lake, config, given).status == "cached"
    with Catalog(lake) as catalog:
        rows = list(catalog.query("SELECT count(*), sum(correct::int) FROM classified").rows)
    assert rows == [(8, round(8 * (made.metrics["accuracy"] or 0)))]
    write(tmp_path / "a.jsonl", messages(42))
    assert classify.build(lake, config, given).status == "built"


def test_without_files_an_entry_of_the_documentation_is_labelled_by_its_package(
    bases: Callable[[str], Artifact], tmp_path: Path
) -> None:
    """The entries of a page are in one split, and pages that the corpus holds out are held out."""
    made: Artifact = decontaminate.build(Lake(tmp_path / "lake"), PagesConfig(packages=3), {}).artifact
    out = local_output(tmp_path / "out")
    classify(ClassifyConfig(**{**TINY, "test": 0.4}), out, corpus=made, base=bases("decoder"))
    assert json.loads((out.dir / "labels.json").read_text())["labels"] == ["pack0", "pack1", "pack2"]
    tested: dict[str, set[str]] = {}
    for row in pq.read_table(out.dir / "classified.parquet").to_pylist():
        assert f"/{row['label']}." in row["place"]
        page, _, entry = row["place"].partition("#")
        tested.setdefault(page, set()).add(entry)
    assert {len(entries) for entries in tested.values()} == {8}  # all of them
    split_of = {document.url: document.split for document in documents_of(made.path, SPLITS)}
    assert {url for url, split in split_of.items() if split == "test"} < tested.keys()
    assert not {url for url, split in split_of.items() if split == "val"} & tested.keys()
    assert len(tested) / len(split_of) == pytest.approx(0.4, abs=0.05)


def test_a_package_of_too_few_pages_to_be_in_all_splits_is_put_aside(
    bases: Callable[[str], Artifact], tmp_path: Path
) -> None:
    _, built = build_corpus(tmp_path / "corpus", PagesConfig(count=10))
    with pytest.raises(PermanentError, match=r"none is left; put aside: .*too few pages"):
        classify(ClassifyConfig(**TINY), local_output(tmp_path / "out"), corpus=built["decontaminate"],
                 base=bases("decoder"))  # fmt: skip


@pytest.mark.parametrize(("network", "pooling"), [("decoder", None), ("encoder", "first"), ("encoder", None)])
def test_it_learns_labels_of_texts_it_has_not_seen(
    bases: Callable[[str], Artifact], tmp_path: Path, network: str, pooling: Any
) -> None:
    training = {"steps": 60, "batch_size": 16, "learning_rate": 1e-2}
    config = ClassifyConfig(
        **{**TINY, "data": (write(tmp_path / "a.jsonl", messages(300)),), "training": training, "pooling": pooling}
    )
    out = run(config, tmp_path / "out", bases(network))
    metrics = out.metrics
    assert metrics["accuracy"] > 0.85  # type: ignore[operator]
    assert metrics["auc"] > 0.9  # type: ignore[operator]
    assert metrics["macro_f1"] == pytest.approx(metrics["accuracy"], abs=0.05)
    assert metrics["majority_accuracy"] == 0.5
    assert metrics["tfidf_accuracy"] > 0.95  # type: ignore[operator]
    assert metrics["untrained_accuracy"] is None
    assert (out.counts["texts"], out.counts["validation_texts"], out.counts["test_texts"]) == (210, 30, 60)
    rows = pq.read_table(out.dir / "classified.parquet").to_pylist()
    assert len(rows) == 60
    assert sum(row["correct"] for row in rows) / 60 == metrics["accuracy"]
    found = Labeller(out.dir, "cpu").label([*(row["text"] for row in rows), "winner " * 200])
    assert [one.label for one in found[:-1]] == [row["named"] for row in rows]
    assert [one.probability for one in found[:-1]] == pytest.approx([row["probability"] for row in rows], abs=1e-4)
    assert [one.cut for one in found] == [False] * 60 + [True]
    assert all(sum(one.probabilities.values()) == pytest.approx(1) for one in found)


def test_every_row_is_learned_held_out_or_put_aside_with_its_reason(
    bases: Callable[[str], Artifact], tmp_path: Path
) -> None:
    good = messages(60)
    odd: list[dict[str, Any]] = [
        {"text": "rare " * 60, "label": "long and rare"},
        {"text": "", "label": "ham"}, {"text": "no label here", "label": None}, {"text": "only once", "label": "rare"},
        {"text": good[0]["text"].upper() + "!", "label": good[0]["label"]},
        {"text": good[0]["text"], "label": "spam"}, {"words": "x"}, {"text": ["a"], "label": "ham"},
        {"text": "mother " * 40, "label": "ham"},
    ]  # fmt: skip
    path = write(tmp_path / "a.jsonl", [*good, *odd])
    for long, cut in (("cut", 1), ("drop", 0)):
        out = run(ClassifyConfig(**{**TINY, "data": (path,), "long_texts": long}), tmp_path / long, bases("decoder"))
        assert out.accounts is not None
        assert list(out.accounts.problems()) == []
        removed = {reason: amount.documents for reason, amount in out.accounts.removed.items()}
        assert removed == {
            "empty text": 1, "no label": 1, "rare label": 1 + cut, "duplicate text": 1,
            "same text with another label": 1, "no column": 1, "broken record": 1,
            **({} if cut else {"longer than the limit": 2}),
        }  # fmt: skip
        assert out.counts["cut_texts"] == cut
        assert out.accounts.incoming.documents == 69
        said = (out.dir / "rejected.jsonl").read_text()
        assert "'rare' has fewer than 3" in said
        assert "whose label is 'ham'" in said


def test_of_each_label_as_many_texts_as_the_rarest_has(bases: Callable[[str], Artifact], tmp_path: Path) -> None:
    rows = [row for number, row in enumerate(messages(80)) if row["label"] == "ham" or number < 40]
    config = {**TINY, "data": (write(tmp_path / "a.jsonl", rows),), "validation": 0.1, "test": 0.2}
    out = run(ClassifyConfig(**{**config, "balance": "undersample"}), tmp_path / "b", bases("decoder"))
    assert (out.counts["texts"], out.counts["validation_texts"], out.counts["test_texts"]) == (28, 4, 8)
    assert out.accounts is not None
    assert out.accounts.removed["left out for balance"].documents == 20
    assert out.metrics["majority_accuracy"] == 0.5


def test_files_of_the_users_own_hold_out_what_they_say(bases: Callable[[str], Artifact], tmp_path: Path) -> None:
    """All their texts are measured, and what is learned, too, is told and measured apart."""
    rows = messages(100)
    seen = [{**rows[place], "text": rows[place]["text"].upper()} for place in (0, 1, 2)]
    test = [*rows[80:], rows[81], *seen, {"text": "a new one", "label": "unknown"}, {"text": "", "label": "ham"}]
    config = ClassifyConfig(
        **{**TINY, "curve": {"labels": (2,), "seeds": 2, "steps": 1},
           "data": (write(tmp_path / "a.jsonl", [*rows[:70], rows[0]]),),
           "validation_data": (write(tmp_path / "v.jsonl", rows[70:80]),),
           "test_data": (write(tmp_path / "t.jsonl", test),)}
    )  # fmt: skip
    out = run(config, tmp_path / "out", bases("decoder"))
    assert out.accounts is not None
    assert list(out.accounts.problems()) == []
    assert (out.accounts.incoming.documents, out.accounts.kept.documents) == (107, 104)
    removed = {reason: amount.documents for reason, amount in out.accounts.removed.items()}
    assert removed == {"duplicate text": 1, "label not learned": 1, "empty text": 1}
    counts = ("texts", "validation_texts", "test_texts", "seen_validation_texts", "seen_test_texts")
    assert [out.counts[name] for name in counts] == [70, 10, 24, 0, 3]
    found = pq.read_table(out.dir / "classified.parquet").to_pylist()
    assert sorted(row["text"] for row in found) == sorted(row["text"] for row in test[:-2])
    learned = {row["text"] for row in seen}
    assert out.metrics["accuracy"] == pytest.approx(sum(row["correct"] for row in found) / 24)
    new = [row["correct"] for row in found if row["text"] not in learned]
    assert out.metrics["unseen_accuracy"] == pytest.approx(sum(new) / 21)
    assert {"unseen_tfidf_accuracy", "unseen_gain_over_tfidf"} <= out.metrics.keys()
    assert out.gained is not None
    assert out.gained.items == 21


def test_a_test_of_texts_that_are_learned_says_nothing_of_new_ones(
    bases: Callable[[str], Artifact], tmp_path: Path
) -> None:
    """The share of the test is still the data's where the validation alone has files."""
    rows = messages(40)
    config = {
        **TINY,
        "data": (write(tmp_path / "a.jsonl", rows),),
        "validation_data": (write(tmp_path / "v.jsonl", rows),),
    }
    out = run(ClassifyConfig(**{**config, "test": 0.5}), tmp_path / "share", bases("decoder"))
    assert [out.counts[name] for name in ("texts", "validation_texts", "test_texts")] == [20, 40, 20]
    assert (out.counts["seen_validation_texts"], out.counts["seen_test_texts"]) == (20, 0)
    given = {**config, "test_data": (write(tmp_path / "t.jsonl", rows[:4]),)}
    out = run(ClassifyConfig(**given), tmp_path / "all", bases("decoder"))
    assert (out.counts["seen_test_texts"], out.counts["test_texts"]) == (4, 4)
    assert "unseen_accuracy" not in out.metrics
    assert out.gained is None


def test_started_again_it_makes_the_same_and_keeps_what_it_compared_with(
    bases: Callable[[str], Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.jsonl", messages(60))
    curve = {"labels": (2, 5), "seeds": 2, "steps": 2}
    config = ClassifyConfig(
        **{**TINY, "data": (path,), "controls": True, "repeats": 2, "curve": curve, "class_weights": "balanced",
           "runtime": {**RUNTIME, "checkpoint_seconds": 0.0}}
    )  # fmt: skip
    whole = run(config, tmp_path / "whole", bases("decoder"))
    import model.trainer as trainer

    kept, saved = trainer.Trainer._save, []

    def full(self: trainer.Trainer, done: int) -> None:
        kept(self, done)
        saved.append(done)
        if len(saved) in (5, 19):  # within the training, and within one that serves to compare
            raise OSError("no space left")

    cut = tmp_path / "cut"
    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "_save", full)
        for _ in range(2):
            with pytest.raises(OSError, match="no space"):
                run(config, cut, bases("decoder"))
        again = run(config, cut, bases("decoder"))
    for name in ("model.safetensors", "classified.parquet", "curve.json", "labels.json"):
        assert (whole.dir / name).read_bytes() == (cut / name).read_bytes(), name
    unlike = {"peak_memory_gib"}
    assert {k: v for k, v in whole.metrics.items() if k not in unlike} == {
        k: v for k, v in again.metrics.items() if k not in unlike
    }
    rows = json.loads((cut / "curve.json").read_text())
    assert [row["labels"] for row in rows] == [2, 5]
    assert rows[0]["gain_over_untrained"] == pytest.approx(rows[0]["pretrained"] - rows[0]["untrained"])


def test_what_is_frozen_stays_the_bases(bases: Callable[[str], Artifact], tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", messages(60))
    out = run(ClassifyConfig(**{**TINY, "data": (path,), "trained": "head"}), tmp_path / "out", bases("decoder"))
    from model.folder import load_model

    before = load_model(bases("decoder").path)[0].state_dict()
    after = load_headed(out.dir)[0].state_dict()
    assert all(before[name].equal(weight) for name, weight in after.items() if not name.startswith("head."))
    assert after["head.bias"].abs().sum() > 0


def test_tables_of_all_kinds_give_the_same_rows(tmp_path: Path) -> None:
    rows = messages(6)
    write(tmp_path / "a.jsonl", rows)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    for name, delimiter in (("a.csv", ","), ("a.tsv", "\t")):
        with open(tmp_path / name, "w", newline="") as file:
            writer = csv.DictWriter(file, ["label", "text"], delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
    (tmp_path / "Unnamed").write_text("".join(f"{row['label']}\t{row['text']}\n" for row in rows))
    wanted = [(row["text"], row["label"]) for row in rows]
    for name in ("a.jsonl", "a.parquet", "a.csv", "a.tsv"):
        found = [(row.text, row.label) for row in rows_of_file(tmp_path / name, "", "")]
        assert found == wanted, name
    assert [(row.text, row.label) for row in rows_of_file(tmp_path / "Unnamed", "2", "1")] == wanted


def test_the_plan_says_what_cannot_be_learned(lake: Lake, tmp_path: Path) -> None:
    one = write(tmp_path / "one.jsonl", [{"text": f"t{n}", "label": "ham", "n": n + 9} for n in range(5)])
    two = write(tmp_path / "two.jsonl", [{**row, "n": number % 2} for number, row in enumerate(messages(8))])
    odd = write(tmp_path / "odd.jsonl", messages(3))
    other = write(tmp_path / "other.jsonl", [{"words": "x", "kind": "y"}])
    for given, said in (
        ({"data": (str(tmp_path / "none*.csv"),)}, "no file matches"),
        ({"data": (one,)}, "All texts have the label 'ham'"),
        ({"data": (other,)}, "no column is known to be the text; the row has words, kind"),
        ({"data": (other,), "text": "body"}, "there is no column 'body'"),
        ({"runtime": {"device": "nosuch"}}, "nosuch"),
        ({"data": (two,), "test_data": (other,)}, "no column is known to be the text"),
        ({"data": (two,), "test_data": (str(tmp_path / "t*.jsonl"),)}, "classify.data and in classify.test_data; name"),
        ({"data": (two,), "validation_data": (odd,), "test_data": (two,)}, "classify.data and in classify.test_data"),
        ({"data": (two,), "validation_data": ("none.csv",)}, "classify.validation_data names 'none.csv', but no file"),
        ({"data": (two,), "test_data": (one,), "text": "text", "label": "n"}, "of which classify.data has none, but 0"),
    ):
        faults = classify.faults(ClassifyConfig(**given), Facts({}, lake))  # type: ignore[arg-type]
        assert [said in fault.reason for fault in faults] == [True], (given, faults)


def test_one_label_alone_or_too_few_texts_is_a_sentence(bases: Callable[[str], Artifact], tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [*messages(40)[::2], {"text": "once", "label": "rare"}])
    with pytest.raises(PermanentError, match=r"two labels to tell apart, and only 'ham' is left.*rare label"):
        run(ClassifyConfig(**{**TINY, "data": (path,)}), tmp_path / "out", bases("decoder"))
    path = write(tmp_path / "b.jsonl", messages(6))
    with pytest.raises(PermanentError, match=r"Of the 2 texts of .* none is to learn from, as .* too few"):
        run(ClassifyConfig(**{**TINY, "data": (path,), "max_texts": 2}), tmp_path / "c", bases("decoder"))


def test_a_column_is_set_by_its_number_as_people_write_it() -> None:
    """`--set classify.text=2` is a number to YAML."""
    recipe = load_recipe("spam", ["classify.text=2", "classify.label=1", "pairs={source: 1, target: 2}"])
    assert recipe.classify is not None
    assert recipe.pairs is not None
    assert (recipe.classify.text, recipe.classify.label, recipe.pairs.source) == ("2", "1", "1")
    with pytest.raises(ValidationError, match="valid string"):
        ClassifyConfig(text=True)  # type: ignore[arg-type]


def test_configs_that_cannot_be_are_sentences() -> None:
    for given, said in (
        ({"validation": 0.5, "test": 0.5}, "hold out every text"),
        ({"text": "1", "label": "label"}, "by their numbers"),
        ({"text": "a", "label": "a"}, "the same column"),
        ({"curve": {"labels": (0,)}}, "at least one training text"),
        ({"test_data": ("t.csv",)}, "beside those to learn from"),
    ):
        with pytest.raises(ValidationError, match=said):
            ClassifyConfig(**given)  # type: ignore[arg-type]
