"""tasks/training/preferences: pairs of training pages and of files, all accounted for, no prompt on both sides.

Also covers: tasks/training/preferences/config.py
Also covers: tasks/training/preferences/made.py
Also covers: tasks/training/preferences/preflight.py
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_lake.store.lake import Lake
from tasks.stage import PermanentError, local_output
from tasks.stage.preflight import Facts
from tasks.training.preferences import PreferencesConfig, preferences
from tasks.training.preferences.preflight import check
from tasks.training.preferences.stage import read_preferences
from tests.tasks.pydoc_corpus import build_corpus

FACTS = Facts({}, Lake("nowhere"))


def test_pairs_of_pages_are_of_names_on_the_same_page(tmp_path: Path) -> None:
    lake, built = build_corpus(tmp_path)
    made = preferences.build(lake, PreferencesConfig(), {"corpus": built["decontaminate"]}).artifact
    rows = list(read_preferences(made))
    assert {row["split"] for row in rows} == {"train", "val"}
    assert len(rows) == made.counts["pairs"] + made.counts["validation_pairs"] > 100
    for row in rows:
        assert row["chosen"] != row["rejected"]
        name = row["instruction"].split("`")[1].split(".")[1]
        number = "".join(filter(str.isdigit, name))
        assert number in row["chosen"]
        assert number in row["rejected"]  # of the same page
        if row["chosen"].startswith("`"):
            assert f".{name}(" in row["chosen"]
            assert f".{name}(" not in row["rejected"]
    again = preferences.build(
        Lake(tmp_path / "other"), PreferencesConfig(), {"corpus": built["decontaminate"]}
    ).artifact
    assert list(read_preferences(again)) == rows


def test_files_are_read_and_accounted_for(tmp_path: Path) -> None:
    good = [{"prompt": f"What is {n}?", "chosen": f"It is {n}.", "rejected": "No idea."} for n in range(40)]
    rows = [*good, *good[:3], {"prompt": "what is 3", "chosen": "Three.", "rejected": "Four."}, {"prompt": "x"}]
    rows.append({"prompt": "x", "chosen": "same", "rejected": "same"})
    data = tmp_path / "mine.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = local_output(tmp_path / "out")
    config = PreferencesConfig(data=(str(data),), validation=0.3)
    preferences(config, out, corpus=None)
    assert out.accounts is not None
    assert list(out.accounts.problems()) == []
    assert out.accounts.incoming.documents == 46
    assert out.accounts.removed["exact duplicate"].documents == 3
    assert out.accounts.removed["broken record"].documents == 2
    assert out.counts["pairs"] + out.counts["validation_pairs"] == 41
    reasons = [json.loads(line)["reason"] for line in (out.dir / "rejected.jsonl").read_text().splitlines()]
    assert "chosen and rejected are the same" in reasons
    assert list(check(config, FACTS)) == []


def test_too_few_pairs_and_files_without_any(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text('[{"prompt": "x", "chosen": "a", "rejected": "b"}]')
    with pytest.raises(PermanentError, match="one to learn from and one to measure on"):
        preferences(PreferencesConfig(data=(str(tmp_path / "one.json"),)), local_output(tmp_path / "out"), corpus=None)
    (tmp_path / "none.json").write_text('[{"prompt": "x"}]')
    (fault,) = check(PreferencesConfig(data=(str(tmp_path / "none.json"),)), FACTS)
    assert "no pair of answers that can be used; the first, none.json#1: it has no chosen answer" in fault.reason
    (missing,) = check(PreferencesConfig(data=(str(tmp_path / "nowhere*"),)), FACTS)
    assert "no file matches" in missing.reason
