"""Stages after pretraining, killed with SIGKILL in the middle of their work: what comes out is the same, bit by bit."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from data_lake.store.lake import Artifact, Lake
from flows.graph.stages import STAGES
from tests.tasks.pydoc_corpus import RUNTIME, build_corpus, build_models

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

TRAINING = {"steps": 40, "batch_size": 8, "learning_rate": 1e-3}
RUNNING = {**RUNTIME, "log_every": 1, "validate_every": 15}
COMMON: dict[str, Any] = {"training": TRAINING, "runtime": RUNNING, "samples": 2}
ASKED: dict[str, Any] = {"tasks": ["arithmetic"], "max_tokens": 4, "held_out": 4, "max_kl": None, "max_growth": None}
ROWS = [{"prompt": f"Say {n}.", "chosen": f"No, not {n} at all.", "rejected": f"Yes, {n}."} for n in range(400)]
LABELLED = [{"text": f"{n} {'in the sun' if n % 2 else 'in the rain'}", "label": n % 2} for n in range(200)]

BUILD = """
import json, sys
from pathlib import Path
from data_lake.store.lake import Lake
from flows.graph.stages import STAGES
lake, stage, given = Lake(Path(sys.argv[1])), STAGES[sys.argv[2]], json.loads(sys.argv[3])
inputs = {role: lake.lookup(*name.split("/")) for role, name in given["inputs"].items()}
stage.build(lake, stage.config_type.model_validate(given["config"]), inputs)
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, Any]]]:
    """A lake in which every stage ran undisturbed, and for each the config and the inputs that it had."""
    folder = tmp_path_factory.mktemp("finished")
    lake, built = build_corpus(folder / "lake")
    built = build_models(lake, built)
    for name, rows in (("pairs", ROWS), ("labelled", LABELLED)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    base = {"base": "sft"}
    made: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
        "classify": ({**COMMON, "data": [str(folder / "labelled.jsonl")], "controls": False}, base),
        "sft": ({**COMMON, "sample_tokens": 4}, {"base": "pretrain", "corpus": "decontaminate"}),
        "preferences": ({"data": [str(folder / "pairs.jsonl")]}, {}),
        "reward": (COMMON, {**base, "preferences": "preferences"}),
        "reference": ({"batch": 1}, {**base, "preferences": "preferences"}),
        "dpo": (
            {**COMMON, "sample_tokens": 4, "max_drop": None},
            {**base, "preferences": "preferences", "reference": "reference"},
        ),
        "grpo": ({**COMMON, **ASKED, "group": 4, "reuse": 2}, base),
        "ppo": ({**COMMON, **ASKED, "reuse": 2}, base),
    }
    given: dict[str, dict[str, Any]] = {}
    for name, (config, roles) in made.items():
        inputs = {role: built[one] for role, one in roles.items()}
        stage = STAGES[name]
        built[name] = stage.build(lake, stage.config_type.model_validate(config), inputs).artifact
        named = {role: f"{one.stage}/{one.key}" for role, one in inputs.items()}
        given[name] = {"config": config, "inputs": named, "key": built[name].key}
    return folder / "lake", given


@pytest.mark.parametrize("name", ["classify", "sft", "reward", "dpo", "grpo", "ppo", "preferences", "reference"])
def test_a_stage_killed_in_the_middle_of_its_work_makes_the_same(
    finished: tuple[Path, dict[str, dict[str, Any]]], tmp_path: Path, name: str
) -> None:
    """Kill it at two moments: a training after a random step, another stage after a random time."""
    lake, (folder, given) = Lake(tmp_path / "lake"), finished
    shutil.copytree(folder, lake.root, ignore=shutil.ignore_patterns(".staging"))
    key = given[name]["key"]
    whole = lake.lookup(name, key)
    assert isinstance(whole, Artifact)
    before = json.loads((whole.path / "manifest.json").read_text())
    staging = lake.root / ".staging" / f"{name}-{whole.path.name}"
    shutil.rmtree(whole.path)
    dice, reach, done = random.Random(name), 1.0, 0
    kills: list[int] = []
    while len(kills) < 2:
        process = start(lake, name, given[name])
        wanted = done + dice.randrange(2, 12)
        try:
            while process.poll() is None and not staging.exists():
                time.sleep(0.001)
            if "training" in given[name]["config"]:
                while process.poll() is None and steps_of(staging) < wanted:
                    time.sleep(0.001)
            else:
                time.sleep(reach * dice.uniform(0, before["seconds"]))
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        if whole.path.exists():  # the kill came too late: it must hit the work, so again and earlier
            shutil.rmtree(whole.path)
            kills, done, reach = [], 0, reach / 2
            continue
        assert process.returncode == -signal.SIGKILL, "it ended, and made another artifact"
        assert steps_of(staging) >= done, "what was finished before the kill is lost"
        done = steps_of(staging)
        kills.append(done)
    assert "training" not in given[name]["config"] or 0 < kills[0] < kills[1] < 40
    process = start(lake, name, given[name])
    assert process.wait() == 0
    after = json.loads((whole.path / "manifest.json").read_text())
    assert after["files"] == before["files"]
    assert after["counts"] == before["counts"]
    assert after["ledger"] == before["ledger"]
    assert without_memory(after["metrics"]) == without_memory(before["metrics"])


def start(lake: Lake, name: str, given: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", BUILD, str(lake.root), name, json.dumps(given)])


def steps_of(staging: Path) -> int:
    """The step of the newest checkpoint."""
    found = [int(path.name.removeprefix("step-")) for path in staging.glob("_work/checkpoints/step-*")]
    return max(found, default=0)


def without_memory(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics that do not depend on the process."""
    return {name: value for name, value in metrics.items() if name != "peak_memory_gib"}
