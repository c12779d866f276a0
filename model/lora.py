"""Low-rank adapters (LoRA, rsLoRA, DoRA): put around matrices, trained alone, merged, and saved as peft does."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from model.adapter import Adapter
from model.files import whole_path
from model.gpt import GPT
from model.headed import Headed
from model.quantising import refuse_quantised
from model.valued import Valued

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_PREFIX = "base_model.model.model."


class AdaptedLinear(nn.Module):
    """A frozen matrix W and the difference that is learned: y = W x + scale · B A x (Hu et al. 2021).

    A (rank, in) starts as kaiming uniform and B (out, rank) as 0, so that the network starts unchanged. With `dora`,
    the rows of W + scale · B A are scaled to learned lengths, which start as those of W (Liu et al. 2024).
    """

    def __init__(self, base: nn.Linear, adapter: Adapter, generator: torch.Generator) -> None:
        super().__init__()
        self.base, self.scale, self.dropout = base, adapter.scale, adapter.dropout
        self.off = False
        device = base.weight.device
        bound = 1 / math.sqrt(base.in_features)  # kaiming uniform with a = √5, as peft
        drawn = torch.empty(adapter.rank, base.in_features).uniform_(-bound, bound, generator=generator)
        self.lora_A = nn.Parameter(drawn.to(device))
        self.lora_B = nn.Parameter(torch.zeros(base.out_features, adapter.rank, device=device))
        lengths = torch.linalg.vector_norm(base.weight.detach().float(), dim=1)
        self.magnitude = nn.Parameter(lengths) if adapter.dora else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (…, in) to (…, out)."""
        if self.off:
            return self.base(x)
        given = F.dropout(x, self.dropout) if self.training and self.dropout else x
        learned = F.linear(F.linear(given, self.lora_A), self.lora_B) * self.scale
        if self.magnitude is None:
            return self.base(x) + learned
        # The length of a row counts as a constant in the gradient (Liu et al. 2024, § 4.3).
        scaled = self.magnitude / torch.linalg.vector_norm(self.direction().detach(), dim=1)
        mixed = scaled * (F.linear(x, self.base.weight) + learned)
        return mixed if self.base.bias is None else mixed + self.base.bias

    def direction(self) -> Tensor:
        """Return W + scale · B A (out, in), in float32."""
        return self.base.weight.float() + self.scale * (self.lora_B @ self.lora_A)

    def merged(self) -> Tensor:
        """Return the one matrix (out, in) that does the same."""
        whole = self.direction()
        if self.magnitude is not None:
            whole = whole * (self.magnitude / torch.linalg.vector_norm(whole, dim=1))[:, None]
        return whole.to(self.base.weight.dtype)


def adapt(model: GPT, adapter: Adapter, seed: int) -> GPT:
    """Freeze the network, put adapters around the matrices that `adapter` names, and return it. A head stays trained.

    Raises ValueError if the network is quantised, has adapters already, or none of the named matrices.
    """
    refuse_quantised(model, "gets no adapter")
    if any(adapted(model)):
        raise ValueError("The network has adapters already; merge them first.")
    model.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    places = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.Linear) and name in adapter.targets
    ]
    if not places:
        raise ValueError(
            f"The network has none of the adapter's targets ({', '.join(adapter.targets)}); a {model.config.family} "
            f"has {', '.join(sorted(_matrices(model)))}."
        )
    if isinstance(model, Headed | Valued):
        model.head.requires_grad_(True)
    for parent, name, child in places:
        setattr(parent, name, AdaptedLinear(child, adapter, generator).train(child.training))
    return model


def merge(model: GPT) -> GPT:
    """Replace each adapted matrix by the one that does the same, in place; all weights can be trained again."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, AdaptedLinear):
                with torch.no_grad():
                    child.base.weight.copy_(child.merged())
                setattr(parent, name, child.base)
    return model.requires_grad_(True)


def adapted(model: GPT) -> Iterator[tuple[str, AdaptedLinear]]:
    """Yield name and module of each adapted matrix."""
    for name, module in model.named_modules():
        if isinstance(module, AdaptedLinear):
            yield name, module


@contextlib.contextmanager
def adapters_off(model: GPT) -> Iterator[GPT]:
    """Let the network be what it was before it was adapted, for a while; yield it."""
    modules = [module for _, module in adapted(model)]
    for module in modules:
        module.off = True
    try:
        yield model
    finally:
        for module in modules:
            module.off = False


def trainable_share(model: nn.Module) -> float:
    """Return the share of the weights that training changes."""
    sizes = [(weight.numel(), weight.requires_grad) for weight in model.parameters()]
    return sum(size for size, trained in sizes if trained) / sum(size for size, _ in sizes)


def save_adapter(model: GPT, adapter: Adapter, folder: Path) -> None:
    """Write the adapters alone, in peft's format: they load over the base model with `PeftModel.from_pretrained`."""
    described = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None,
        "r": adapter.rank,
        "lora_alpha": adapter.alpha,
        "lora_dropout": adapter.dropout,
        "target_modules": sorted({name.rpartition(".")[2] for name, _ in adapted(model)}),
        "use_rslora": adapter.rslora,
        "use_dora": adapter.dora,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
    }
    with whole_path(folder / WEIGHTS) as path:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in _named(model).items()}, path)
        path.chmod(0o644)
    with whole_path(folder / CONFIG) as path:
        path.write_text(json.dumps(described, indent=2, sort_keys=True) + "\n")


def load_adapter(model: GPT, folder: Path) -> Adapter:
    """Put the adapters of a folder, ours or peft's, around the network's matrices, and return their settings.

    Raises FileNotFoundError if a file is missing, ValueError if it is damaged or does not fit the network.
    """
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} is no folder of an adapter: {name} is missing.")
    try:
        described = json.loads((folder / CONFIG).read_text())
        adapter = Adapter(
            rank=described["r"],
            alpha=described["lora_alpha"],
            dropout=described.get("lora_dropout", 0.0),
            targets=tuple(described["target_modules"]),
            rslora=described.get("use_rslora", False),
            dora=described.get("use_dora", False),
        )
        tensors = load_file(folder / WEIGHTS)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"The adapter in {folder} cannot be read ({error}); save it again.") from error
    adapt(model, adapter, seed=0)
    wanted = _named(model)
    odd = sorted(wanted.keys() ^ tensors.keys())
    odd += [name for name in wanted.keys() & tensors.keys() if wanted[name].shape != tensors[name].shape]
    if odd:
        raise ValueError(f"The adapter in {folder} is not for this network: {odd[0]} is missing, unknown or misshapen.")
    with torch.no_grad():
        for name, parameter in wanted.items():
            parameter.copy_(tensors[name])
    return adapter


def _named(model: GPT) -> dict[str, nn.Parameter]:
    """Return the adapters' weights under the names that peft gives them."""
    named: dict[str, nn.Parameter] = {}
    for name, module in adapted(model):
        named[f"{_PREFIX}{name}.lora_A.weight"] = module.lora_A
        named[f"{_PREFIX}{name}.lora_B.weight"] = module.lora_B
        if module.magnitude is not None:
            named[f"{_PREFIX}{name}.lora_magnitude_vector"] = module.magnitude
    return named


def _matrices(model: GPT) -> set[str]:
    return {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and name.startswith("layers.")
    }
