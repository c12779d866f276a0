"""tasks/retrieval/answering.py: who answers from the pages is who was measured to do it best, in its newest form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data_lake.store.lake import Artifact, Lake
from tasks.retrieval.answering import answering, answers_best
from tests.lakes import commit


def model(lake: Lake, stage: str, hour: int, template: str | None = "textmill") -> Artifact:
    described = {"model.json": json.dumps({"chat_template": template})}
    return commit(lake, stage, texts=described, hour=hour, config={"hour": hour}, kind="Model")


def asked(lake: Lake, index: Artifact, who: Artifact, exact: float, hour: int) -> None:
    given: Any = {"kind": "Asked", "metrics": {"exact": exact}}
    commit(lake, "ask", None, {"model": who, "index": index}, hour=hour, **given)


def test_the_model_that_answers_best_from_the_newest_index(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert answering(lake) is None
    model(lake, "pretrain", 1, template=None)
    assert answering(lake) is None, "it was taught no chat"
    sft, grpo = model(lake, "sft", 2), model(lake, "grpo", 3)
    assert answers_best(lake) is None
    assert answering(lake) == grpo, "the newest one, where none was measured"
    first, second = commit(lake, "index", config={"of": 1}), commit(lake, "index", config={"of": 2})
    asked(lake, first, grpo, 0.9, 4)
    assert answering(lake) == grpo
    asked(lake, second, grpo, 0.1, 5)
    asked(lake, second, sft, 0.3, 6)
    assert answers_best(lake) == "sft"
    assert answering(lake) == sft
    newer = model(lake, "sft", 7)
    assert answering(lake) == newer
