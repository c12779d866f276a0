"""The trained classifier: it learns, says how well, is the same every time, and reads the files that people have.

Also covers: tasks/corpus/clean/linear.py
"""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.corpus.clean.classifier import measure, train
from tasks.corpus.clean.filter_config import ClassifierConfig
from tasks.corpus.clean.linear import Classifier, features_of
from tasks.stage import PermanentError

NICE = ["garden", "flower", "morning", "bread", "river", "song", "children", "table", "bridge", "letter"]
RUDE = ["idiot", "stupid", "hate", "moron", "trash", "disgusting", "loser", "pathetic"]


def write_examples(path, count=600, seed=1):
    """Sentences of everyday words; the positive ones have two insults among them."""
    draw = random.Random(seed)
    rows = []
    for number in range(count):
        words = [draw.choice(NICE) for _ in range(draw.randint(8, 30))]
        if number % 2:
            words[draw.randrange(len(words))] = draw.choice(RUDE)
            words.insert(0, draw.choice(RUDE))
        rows.append({"text": " ".join(words) + f" {number}", "label": number % 2})
    path.write_text("\n".join(map(json.dumps, rows)))


def test_it_learns_and_says_how_well(tmp_path):
    write_examples(tmp_path / "toxic.jsonl")
    config = ClassifierConfig(name="toxicity", labelled=(str(tmp_path / "toxic.jsonl"),), remove_above=0.5)
    classifier, found = train(config)
    assert found["examples"] == 60
    assert found["precision"] >= 0.9
    assert found["recall"] >= 0.9
    assert found["auc"] >= 0.95
    assert classifier.probability("you stupid idiot") > 0.5
    assert classifier.probability("garden flower morning bread river song children table") < 0.5
    assert 0 < classifier.probability("") < 1


def test_the_same_examples_make_the_same_bytes(tmp_path):
    write_examples(tmp_path / "a.jsonl")
    rows = (tmp_path / "a.jsonl").read_text().splitlines()
    (tmp_path / "b.jsonl").write_text("\n".join([*reversed(rows), rows[0]]) + "\n\n")  # another order, one twice
    for name in "ab":
        classifier, _ = train(ClassifierConfig(labelled=(str(tmp_path / f"{name}.jsonl"),)))
        classifier.save(tmp_path / f"{name}.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    again = Classifier.load(tmp_path / "a.safetensors")
    assert again.probability("a stupid song") == classifier.probability("a stupid song")


def test_positive_and_negative_files(tmp_path):
    for number in range(6):
        (tmp_path / f"good-{number}.txt").write_text(f"{' '.join(NICE)} {number}")
    (tmp_path / "bad.jsonl").write_text("\n".join(json.dumps({"text": f"{' '.join(RUDE)} {n}"}) for n in range(6)))
    config = ClassifierConfig(positive=(str(tmp_path / "good-*.txt"),), negative=(str(tmp_path / "bad.jsonl"),))
    classifier, found = train(config)
    assert found["auc"] == 1
    assert classifier.probability("flowers in the garden, a river and a bridge") > 0.5


@pytest.mark.shared
def test_spam_is_told_from_messages(shared_data, tmp_path):
    (path,) = (shared_data / "06_sms_spam").rglob("SMSSpamCollection")
    rows = [line.partition("\t") for line in path.read_text("utf-8").splitlines()]
    lines = [json.dumps({"text": text, "kind": label}) for label, _, text in rows]
    (tmp_path / "sms.jsonl").write_text("\n".join(lines))
    config = ClassifierConfig(
        labelled=(str(tmp_path / "sms.jsonl"),), label_field="kind", positive_labels=("spam",), held_out=0.2
    )
    _, found = train(config)
    assert found["examples"] > 1000
    assert found["auc"] >= 0.985
    assert found["precision"] >= 0.9
    assert found["recall"] >= 0.88


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ('{"text": "a"}\n', r"x\.jsonl:1 is not a JSON object with the fields text and label"),
        ("no json\n", r"x\.jsonl:1 is not a JSON object"),
        ('{"text": "a", "label": 1}\n', "1 positive and 0 negative examples; it needs two of each"),
    ],
)
def test_bad_examples_are_told(rows, message, tmp_path):
    (tmp_path / "x.jsonl").write_text(rows)
    with pytest.raises(PermanentError, match=message):
        train(ClassifierConfig(labelled=(str(tmp_path / "x.jsonl"),)))


def test_a_classifier_without_examples_is_told():
    with pytest.raises(ValueError, match="the classifier 'quality' has no examples"):
        ClassifierConfig()


def test_measures_by_hand():
    found = measure(np.array([0.9, 0.8, 0.3, 0.3, 0.1]), np.array([True, False, True, False, False]), 0.5)
    assert found["precision"] == 0.5
    assert found["recall"] == 0.5
    assert found["auc"] == pytest.approx((3 + 1.5) / 6)  # pairs in the right order, a tie counts half


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.text(max_size=100), st.integers(1, 5))
def test_features_are_buckets_each_once(text, ngram):
    features = features_of(text, ngram, 50, 1 << 10)
    assert len(set(features.tolist())) == len(features)
    assert all(0 <= feature < 1 << 10 for feature in features.tolist())
    assert np.array_equal(features, features_of(text.upper() if text.isascii() else text, ngram, 50, 1 << 10))
