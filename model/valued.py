"""A network that writes texts and, with a head beside its output matrix, foretells the reward still to come (PPO)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.gpt import GPT
from model.shape import GPTConfig

HEAD = "head."
"""How the names of the head's weights begin."""


class Valued(GPT):
    """A GPT that also gives each token a value. It writes as any other; the head reads the same states."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__(config)
        self.head = nn.Linear(config.d_model, 1)

    @classmethod
    def over(cls, base: GPT) -> Valued:
        """Return the base model's network with a head of zeros: at first, nothing is foretold."""
        model = cls(base.config)
        model.load_state_dict(base.state_dict(), strict=False)
        with torch.no_grad():
            model.head.weight.zero_()
            model.head.bias.zero_()
        return model.to(base.device).train(base.training)

    def values(self, states: Tensor) -> Tensor:
        """Return what is foretold (B, T) from the states (B, T, C), in float32."""
        with torch.autocast(states.device.type, enabled=False):
            return self.head(states.float())[..., 0]

    def writer(self) -> GPT:
        """Return a network without the head, which is of no use for anything but training."""
        model = GPT(self.config)
        model.load_state_dict({name: tensor for name, tensor in self.state_dict().items() if not name.startswith(HEAD)})
        return model.to(self.device).train(self.training)
