"""tasks/stage/memory.py: a stage that runs out of memory says which of its settings to lower."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import Field

from data_lake.store.lake import Lake
from tasks.stage import Execution, Output, PermanentError, StageConfig, kinds, stage
from tasks.stage.memory import enough_memory
from tasks.training.grpo import GrpoConfig


class HungryConfig(StageConfig):
    """A stage with one setting that memory grows with."""

    batch: int = Execution(8, description="rows at once")
    rows: int = Field(1 << 60, description="what is asked for")


@stage(makes=kinds.Tokens, version=1)
def hungry(config: HungryConfig, out: Output) -> None:
    """Ask for more memory than there is."""
    torch.empty(config.rows)


def test_a_build_without_enough_memory_ends_with_what_to_lower(tmp_path: Path) -> None:
    with pytest.raises(
        PermanentError, match=r"Memory ran out: [^:]*: you tried to allocate.* Set hungry\.batch \(8\) to a smaller"
    ):
        hungry.build(Lake(tmp_path), HungryConfig(), {})
    with pytest.raises(PermanentError, match="No setting of this stage takes less"):
        hungry.build(Lake(tmp_path), HungryConfig(batch=1), {})
    with pytest.raises(RuntimeError, match="negative"):
        hungry.build(Lake(tmp_path), HungryConfig(rows=-1), {})


def test_what_keeps_the_result_is_named_before_what_changes_it() -> None:
    with pytest.raises(PermanentError) as said, enough_memory("grpo", GrpoConfig()):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")
    assert str(said.value) == (
        "Memory ran out: CUDA out of memory. Tried to allocate 2.00 GiB. Set grpo.runtime.micro_batch (not set) to a "
        "smaller number and start again: it goes on from what is finished, and the result changes by rounding at most. "
        "If that is not enough, lower grpo.training.batch_size (64) or grpo.max_tokens (32) or grpo.group (8): another "
        "result."
    )
