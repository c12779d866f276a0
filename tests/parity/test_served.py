"""The model server as others' clients see it: lm-eval's `local-completions` measures what it measures in process."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from tasks.evaluation.harness.local import offline, task_of
from tasks.evaluation.harness.run import run_harness
from tests.flows.serving.conftest import Living, artifacts, pages, server
from tests.parity.harness import task_manager
from tests.parity.test_harness import written

__all__ = ["artifacts", "pages", "server"]
pytestmark = pytest.mark.parity
pytest.importorskip("lm_eval", reason="lm-eval is not installed; `make test` installs it.")
TASKS = ("piqa", "arc_easy")


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Any:
    """lm-eval's index of all its tasks takes half a minute."""
    import lm_eval.tasks

    few = task_manager(TASKS)
    monkeypatch.setattr(lm_eval.tasks, "TaskManager", lambda: few)
    return few


def test_local_completions_has_the_scores_of_the_model_in_process(server: Living, manager: Any, tmp_path: Path) -> None:
    from lm_eval import simple_evaluate
    from lm_eval.models.openai_completions import LocalCompletionsAPI

    paths = {name: [written(tmp_path, name, 0)] for name in TASKS}
    own = {(one.task, one.metric): one.value for one in run_harness(server.models.get("chat").artifact, paths)}
    with offline():
        logging.getLogger("lm_eval").setLevel(logging.ERROR)
        client = LocalCompletionsAPI(
            base_url=f"{server.url}/v1/completions", model="chat", tokenizer_backend="remote", batch_size=4,
            max_retries=1, verify_certificate=False, max_length=1024,
        )  # fmt: skip
        tasks = [task_of(manager, name, where, 0) for name, where in paths.items()]
        found: dict[str, Any] = simple_evaluate(
            model=client, tasks=tasks, task_manager=manager, bootstrap_iters=0, log_samples=True
        )
    for (task, metric), value in own.items():
        assert found["results"][task][f"{metric},none"] == pytest.approx(value), (task, metric)
    asked = [response for rows in found["samples"].values() for row in rows for response in row["filtered_resps"]]
    assert len(asked) == 3 * 2 + 3 * 4
    assert all(value < 0 for value, _ in asked)
