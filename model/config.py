"""The settings of a training: pydantic models that name every number and its unit.

They are separate from the code that uses them so that checking a recipe or printing a plan does not import torch.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from model.settings import Settings

MUON_ONLY = ("matrix_learning_rate", "momentum", "momentum_start", "momentum_warmup", "newton_schulz_steps")
"""The fields of a training that only Muon reads."""


class Training(Settings):
    """What the optimizer does at each step. All of it is part of the model's identity: it changes the weights.

    The schedule (warm-up, decay) multiplies every rate. A matrix is a weight of the blocks with two dimensions; the
    embeddings and the output matrix are none of them.
    """

    steps: int = Field(1000, ge=1, description="optimizer steps of the whole run")
    batch_size: int = Field(16, ge=1, description="sequences per optimizer step")
    optimizer: Literal["adamw", "muon"] = Field(
        "adamw", description="adamw = AdamW for all weights; muon = Muon for the matrices, AdamW for the rest"
    )
    learning_rate: float = Field(3e-3, gt=0, description="peak learning rate of AdamW")
    embedding_learning_rate: float | None = Field(
        None, gt=0, description="peak rate of the embeddings, a tied output matrix included; null = learning_rate"
    )
    head_learning_rate: float | None = Field(
        None, gt=0, description="peak rate of an output matrix that is not tied, or of a head; null = learning_rate"
    )
    matrix_learning_rate: float = Field(
        0.02, gt=0, description="Muon: peak rate of the matrices, times √(rows / columns) for those with more rows"
    )
    schedule: Literal["wsd", "cosine", "constant"] = Field(
        "wsd", description="after the warm-up: wsd = hold, then fall linearly; cosine = half a cosine; constant"
    )
    warmup: float = Field(0.05, ge=0, lt=1, description="share of the steps in which the rate rises linearly")
    decay: float = Field(0.5, ge=0, le=1, description="share of the steps, at the end, in which wsd decays")
    final_learning_rate: float = Field(0.0, ge=0, le=1, description="rate at the last step, as a share of the peak")
    beta1: float = Field(0.9, ge=0, lt=1, description="AdamW: decay of the mean gradient")
    beta2: float = Field(0.95, ge=0, lt=1, description="AdamW: decay of the mean squared gradient")
    eps: float = Field(1e-8, gt=0, description="AdamW: added to the root of the squared gradient")
    momentum: float = Field(0.95, ge=0, lt=1, description="Muon: decay of the mean gradient, once it has risen")
    momentum_start: float = Field(0.85, ge=0, lt=1, description="Muon: decay of the mean gradient at the first step")
    momentum_warmup: int = Field(300, ge=0, description="Muon: steps in which the decay rises linearly to momentum")
    newton_schulz_steps: int = Field(
        5, ge=1, le=20, description="Muon: iterations that make an update orthogonal; 3 = coarser and cheaper"
    )
    weight_decay: float = Field(
        0.1, ge=0, description="decoupled decay per step as a share of the rate; on matrices, never on gains or biases"
    )
    embedding_weight_decay: float | None = Field(
        None, ge=0, description="the same for embeddings and output matrix; null = weight_decay"
    )
    grad_clip: float = Field(1.0, ge=0, description="largest gradient norm; 0 = no clipping")
    seed: int = Field(0, ge=0, lt=2**63, description="seed of the initial weights and of the order of the data")

    @model_validator(mode="after")
    def _phases_fit(self) -> Training:
        if self.schedule == "wsd" and self.warmup + self.decay > 1:
            raise ValueError(
                f"warmup {self.warmup} and decay {self.decay} are shares of one run and exceed 1 together."
            )
        return self

    @model_validator(mode="after")
    def _every_setting_counts(self) -> Training:
        if self.optimizer == "adamw":
            idle = [name for name in MUON_ONLY if getattr(self, name) != type(self).model_fields[name].default]
            if idle:
                named = " and ".join(f"{name} ({getattr(self, name)})" for name in idle)
                raise ValueError(
                    f"only Muon reads {named}, but the optimizer is adamw; set optimizer: muon, or leave "
                    f"{'it' if len(idle) == 1 else 'them'} out."
                )
        return self


class Runtime(Settings):
    """How the training runs: hardware, splits and intervals. None of it is part of the model's identity."""

    device: str = Field("auto", description="auto = cuda if there is one, else cpu; or a torch device name")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="precision of matrix products; auto = bfloat16 where the GPU or the CPU multiplies in it, "
        "else float32. Weights stay float32",
    )
    threads: int = Field(0, ge=0, le=1024, description="CPU threads; 0 = one per usable core, at most 8")
    micro_batch: int = Field(0, ge=0, description="sequences per forward pass; 0 = the whole batch at once")
    log_every: int = Field(10, ge=1, description="steps between two reported points")
    validate_every: int = Field(200, ge=0, description="steps between two validations; 0 = only at the end")
    validate_batches: int = Field(8, ge=1, description="batches per validation (the last validation uses all)")
    checkpoint_seconds: float = Field(20.0, ge=0, description="seconds between two checkpoints; 0 = after every step")
    keep_checkpoints: int = Field(2, ge=2, description="newest checkpoints kept; at least 2, as one may be damaged")
