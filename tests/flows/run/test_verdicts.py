"""flows/run/verdicts.py: `promote` and `compare` as flows on a real Prefect server, with a real MLflow registry.

Also covers: flows/run/promote.py
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from data_lake.store.home import Home
from data_lake.tables.documents import write_parquet
from flows.comparing import runs as known
from flows.comparing.runs import CompareError
from flows.recipe.promote import PromoteConfig
from flows.run import promote as promoting
from flows.run.promote import candidate_of, check_wanted
from flows.servers.connect import Connection, connect
from tasks.stage import Output, StageConfig, kinds, stage
from tasks.tracking.registry import Registry
from tests.evaluations import Runs, evaluation, items, model, questions

WEAK = [n % 4 == 0 for n in range(80)]
STRONG = [n % 4 < 3 for n in range(80)]
ACC = PromoteConfig(metrics=("b_acc",), name="night-pretrain")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """An embedded Prefect server, as `textmill promote` starts it."""
    patch = pytest.MonkeyPatch()
    patch.setenv("TEXTMILL_HOME", str(tmp_path_factory.mktemp("server")))
    patch.delenv("PREFECT_LOGGING_TO_API_ENABLED", raising=False)
    connection = connect(Home.from_env().ensure())
    connection.apply()
    connection.wait()
    yield connection
    connection.close()
    patch.undo()


@pytest.fixture
def made(server: Connection, home: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """An empty lake of this test, with the servers of the module."""
    from data_lake.store.lake import Lake

    shutil.copytree(server.home.root / "run", home / "run")
    shutil.copy(server.home.mlflow_db, home / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", Home.from_env().mlflow_uri)
    monkeypatch.chdir(home)
    found: list[known.PipelineRecord] = []
    monkeypatch.setattr(known, "pipeline_runs", lambda _: list(reversed(found)))
    return Runs(Lake(home / "lake"), found)


def promoted(name: str, config: PromoteConfig = ACC) -> tuple[str, str]:
    """The state that the flow ends in, and its message."""
    from flows.run.verdicts import promote

    state: Any = promote(model=name, config=config, return_state=True)
    assert state.is_completed()
    return state.name, state.message


def champion() -> str | None:
    found = Registry(Home.from_env()).champion("night-pretrain")
    return found.artifact if found else None


def test_a_refusal_is_a_state_of_its_own_and_the_champion_stays(made: Runs) -> None:
    strong, weak = made.run(STRONG, depth=12), made.run(WEAK, depth=6)
    assert promoted(strong.name)[0] == "Promoted"
    name, why = promoted("last")
    assert (name, champion()) == ("NotPromoted", strong.name)
    assert f"{weak.name} is worse than the champion {strong.name}: b_acc 0.75 → 0.25" in why
    assert promoted(strong.name) == ("Promoted", f"night-pretrain version 1: {strong.name} is the champion already.")
    better = made.run([True] * 80, depth=24)
    assert promoted("last")[0] == "Promoted"
    assert champion() == better.name

    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        artifacts = {(one.key, str(one.type)) for one in client.read_artifacts()}
    assert {("comparison", "markdown"), ("comparison-rows", "table")} <= artifacts


class AskConfig(StageConfig):
    """Nothing to choose."""


@stage(makes=kinds.Evaluation, per="model", version=1)
def evaluate(config: AskConfig, out: Output, model: kinds.Model, questions: kinds.Questions) -> None:
    """Answer every question right if the model is deep."""
    deep = model.manifest.payload["config"]["depth"] > 10
    write_parquet(out.dir / "per_item.parquet", pa.Table.from_pylist(items("b", [deep or right for right in WEAK])))


def test_the_champion_is_asked_what_the_new_model_was_asked(made: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a night in which the corpus, and so the questions, changed."""
    monkeypatch.setitem(promoting.STAGES, "evaluate", evaluate)
    old = model(made.lake, depth=12)
    evaluation(made.lake, old, questions(made.lake, "yesterday"), items("c", STRONG))
    assert promoted(old.name, PromoteConfig(metrics=("c_acc",), name="night-pretrain"))[0] == "Promoted"
    new = model(made.lake, depth=6)
    asked = evaluate.build(made.lake, AskConfig(), {"model": new, "questions": questions(made.lake)}).artifact
    name, why = promoted(new.name)
    assert (name, "b_acc 1 → 0.25" in why, champion()) == ("NotPromoted", True, old.name)
    held = [one for one in made.lake.artifacts("evaluate") if one.manifest.inputs["model"].name == old.name]
    assert asked.manifest.inputs["questions"].content in {one.manifest.inputs["questions"].content for one in held}
    shutil.rmtree(made.lake.path("questions", asked.manifest.inputs["questions"].key))
    shutil.rmtree(held[0].path)
    assert promoted(new.name)[0] == "NotPromoted"
    assert champion() == old.name


def test_runs_are_compared_by_a_flow(made: Runs) -> None:
    from flows.run.verdicts import compare

    for depth, right in ((6, WEAK), (12, STRONG)):
        made.run(right, depth=depth)
    assert compare(return_state=True).is_completed()
    failed: Any = compare(subjects=["last~1", "last"], metrics=["b_ac"], return_state=True)
    assert failed.is_failed()
    assert "Did you mean b_acc?" in failed.message


def test_who_can_be_a_candidate(made: Runs) -> None:
    home = Home.from_env()
    base = made.run(WEAK, name="night until evaluate", depth=6)
    tuned = model(made.lake, "sft", {"base": base})
    unmeasured = model(made.lake, "sft", {"base": base}, other=1)
    scored = evaluation(made.lake, tuned, questions(made.lake), items("b", STRONG))
    made.records[0].artifacts.update({"sft": tuned.name, "evaluate-sft": scored.name})  # type: ignore[attr-defined]
    found = candidate_of("last", home)
    assert (found.model.name, found.evaluation.name, found.name) == (tuned.name, scored.name, "night-sft")
    assert candidate_of("pretrain", home).model.name == base.name
    for wanted, said in (
        ("nosuch", "There is no pipeline run 'nosuch'"),
        ("pretrain/zz", "The lake has no model 'pretrain/zz'; it has "),
        ("clean", "The lake has no model 'clean'"),
        (unmeasured.name, "has no evaluation in this lake, so that it cannot be compared"),
    ):
        with pytest.raises(CompareError, match=said):
            candidate_of(wanted, home)
    with pytest.raises(CompareError, match="names 'b_ac'"):
        check_wanted("last", PromoteConfig(metrics=("b_ac",)), home)
