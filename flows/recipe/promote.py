"""A recipe's promotion: which model may become the champion, and by which metrics it must not be worse."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.stage.config import StageConfig

NAME = r"[\w.@ -]*"


class PromoteConfig(StageConfig):
    """When a model becomes the champion of its name in MLflow's model registry."""

    node: str = Field(
        "",
        pattern=rf"^{NAME}$",
        max_length=80,
        description="the node of the model, such as sft or pretrain@d6; empty = the last model of a recipe without "
        "variants",
    )
    name: str = Field(
        "",
        pattern=rf"^{NAME}$",
        max_length=200,
        description="the registered model whose champion it challenges; empty = <recipe>-<stage>, as in runs",
    )
    metrics: tuple[str, ...] = Field(
        ("bits_per_byte",),
        min_length=1,
        max_length=100,
        description="what counts, as `textmill compare` names it: bits_per_byte, hellaswag_acc_norm, …; others may be "
        "worse",
    )
    alpha: float = Field(
        0.05, gt=0, lt=1, description="chance of calling a model worse that is equally good, for each of the metrics"
    )
    must_be: Literal["not worse", "better"] = Field(
        "not worse",
        description="not worse = no metric may be worse beyond noise; better = at least one must be better as well",
    )
