"""A network with a head in the place of its output matrix: a few numbers for a text, such as a label or a reward."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.batches import Batch
from model.gpt import GPT
from model.objectives import Pooling, Trained
from model.packed import states_of
from model.quantising import refuse_quantised
from model.shape import GPTConfig


class Headed(GPT):
    """A GPT that maps a text to `outputs` numbers instead of the next token's logits."""

    def __init__(self, config: GPTConfig, outputs: int, pooling: Pooling) -> None:
        super().__init__(config.model_copy(update={"tie_embeddings": True}))  # there is no output matrix at all
        self.outputs, self.pooling = outputs, pooling
        self.head = nn.Linear(config.d_model, outputs)

    @classmethod
    def over(cls, base: GPT, outputs: int, pooling: Pooling, seed: int) -> Headed:
        """Return the base model's network with a new head: normal with sd 0.02, drawn from `seed`, and biases 0.

        Raises ValueError if the base is quantised, or if the pooling cannot work: the first token of a decoder has seen
        nothing of the text.
        """
        if pooling == "first" and base.config.causal:
            raise ValueError("The first token of a decoder has seen nothing of the text; use last or mean.")
        refuse_quantised(base, "gets no head to train")
        model = cls(base.config, outputs, pooling)
        model.load_state_dict({name: weight for name, weight in base.state_dict().items() if name != "lm_head.weight"},
                              strict=False)  # fmt: skip
        with torch.no_grad():
            drawn = torch.empty(model.head.weight.shape)
            model.head.weight.copy_(drawn.normal_(0.0, 0.02, generator=torch.Generator().manual_seed(seed)))
            model.head.bias.zero_()
        return model.to(base.device)

    def scores(self, batch: Batch) -> Tensor:
        """Return the numbers (B, outputs) of the texts `batch.inputs`, padded after `batch.lengths`, in float32."""
        states = states_of(self, batch).float()
        if self.pooling == "first":
            pooled = states[:, 0]
        else:
            lengths = batch.lengths
            if lengths is None:
                lengths = torch.full((len(states),), states.shape[1])
            lengths = lengths.to(states.device)
            if self.pooling == "last":  # of the text, not of its padding: 98.3 instead of 95.0 % on SMS spam (Raschka)
                pooled = states[torch.arange(len(states), device=states.device), lengths - 1]
            else:
                inside = torch.arange(states.shape[1], device=states.device) < lengths[:, None]
                pooled = (states * inside[..., None]).sum(1) / lengths[:, None]
        with torch.autocast(states.device.type, enabled=False):
            return self.head(pooled)

    def train_only(self, what: Trained) -> None:
        """Freeze everything else."""
        self.requires_grad_(what == "all")
        self.head.requires_grad_(True)
        if what == "last_block":
            self.layers[-1].requires_grad_(True)
            self.norm.requires_grad_(True)
