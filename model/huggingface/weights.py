"""The weights of a Hugging Face folder, read into our network and written from it; what is not a number is refused."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import Tensor

from model.gpt import GPT
from model.huggingface.config import config_from
from model.huggingface.folder import ModelFolder, NoModelFolder, refuse_pointer, some
from model.huggingface.names import HEAD, found_names, weights_of
from model.memory import out_of_memory
from model.shape import GPTConfig

_NAMES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")


def read_model(folder: ModelFolder, config: GPTConfig | None = None) -> GPT:
    """Return the model of a folder in float32, in eval mode.

    config: what config.json describes, perhaps with a shorter `max_seq_len` or a larger `vocab_size`. The embeddings of
    added ids are the mean of all others (Hewitt 2021), which gives each of them at most the average probability.
    Raises NoModelFolder if tensors are missing, unexpected, misshapen or not finite, or if the file is a pickle that
    asks for more than tensors.
    """
    stored = config_from(folder.config)
    config = config or stored
    if config.vocab_size < stored.vocab_size:
        raise ValueError(f"The model's {stored.vocab_size:,} token ids cannot become {config.vocab_size:,}.")
    model = GPT(config)
    parameters = dict(model.named_parameters())
    broken: list[str] = []
    with ExitStack() as stack, torch.no_grad():
        there, tensor_of = _open(folder, stack)
        named = found_names(stored, there)

        def read(name: str) -> Tensor:
            tensor = tensor_of(named[name])
            if not torch.isfinite(tensor).all():
                broken.append(f"{named[name]} ({int((~torch.isfinite(tensor)).sum()):,} values)")
            return tensor

        for weight in weights_of(stored):
            tensor = read(weight.theirs)
            parts = (tensor.t() if weight.transposed else tensor).chunk(len(weight.ours))
            for name, part in zip(weight.ours, parts, strict=True):
                target = parameters[name]
                target[: len(part)].copy_(part[: len(target)])  # fewer rows of positions, more of ids
                if name in ("embed_tokens.weight", HEAD):
                    target[len(part) :] = target[: len(part)].mean(dim=0)
        tied = config.tie_embeddings and HEAD in named
        if tied and not torch.equal(read(HEAD).float(), model.embed_tokens.weight[: stored.vocab_size]):
            raise NoModelFolder(
                f"{folder.path / 'config.json'} says that the output matrix is the token embedding "
                "(tie_word_embeddings), but the weights hold another one; set it to false there if that one counts."
            )
    if broken:
        raise NoModelFolder(f"{folder.path} has weights that are not finite: {some(broken)}. Get intact ones.")
    return model.eval()


def weights_for_export(model: GPT) -> dict[str, Tensor]:
    """Return the weights of a model by their names in `transformers`; tied ones occur once."""
    state = model.state_dict()
    written = {}
    for weight in weights_of(model.config):
        whole = torch.cat([state[name] for name in weight.ours])
        written[weight.theirs] = (whole.t() if weight.transposed else whole).detach().cpu().contiguous()
    return written


Described = Mapping[str, tuple[str, tuple[int, ...]]]


def _open(folder: ModelFolder, stack: ExitStack) -> tuple[Described, Callable[[str], Tensor]]:
    """Return type and shape of each tensor of a folder, and a function that reads one."""
    if folder.tensors is None:
        loaded = dict(_pickled(folder))
        return {
            name: (_NAMES.get(t.dtype, str(t.dtype)), tuple(t.shape)) for name, t in loaded.items()
        }, loaded.__getitem__
    from safetensors import safe_open

    files = {path: stack.enter_context(safe_open(path, framework="pt")) for path in folder.files}
    tensors = folder.tensors
    described = {name: (one.dtype, one.shape) for name, one in tensors.items()}
    return described, lambda name: files[tensors[name].file].get_tensor(name)


def _pickled(folder: ModelFolder) -> Iterator[tuple[str, Tensor]]:
    seen: set[str] = set()
    for path in folder.files:
        loaded = _unpickled(path)
        if not isinstance(loaded, dict):
            raise NoModelFolder(f"{path} holds a {type(loaded).__name__} and no weights by name.")
        for name, tensor in loaded.items():
            if not isinstance(name, str) or not isinstance(tensor, Tensor):
                raise NoModelFolder(
                    f"{path} has a {type(tensor).__name__} as {name!r}; only tensors by name can be imported. A "
                    "checkpoint of a training holds more: save the model's state_dict alone, best as safetensors."
                )
            if name in seen:
                raise NoModelFolder(f"{folder.path} has the tensor {name} twice.")
            seen.add(name)
            yield name, tensor


def _unpickled(path: Path) -> object:
    """Return what a PyTorch file holds; code that it asks to run is not run."""
    refuse_pointer(path)
    try:
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap" not in str(error):
                raise
            return torch.load(path, map_location="cpu", weights_only=True)  # written before PyTorch 1.6
    except pickle.UnpicklingError as error:
        asked = _GLOBAL.search(str(error))
        what = f"asks to run {asked[1]} when it is loaded" if asked else "is no file of weights alone"
        raise NoModelFolder(
            f"{path} {what}, which is not done. Get the model as safetensors, or convert it where you trust it."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        if out_of_memory(error):
            raise
        first = str(error).partition("\n")[0]
        raise NoModelFolder(f"{path} is damaged or no PyTorch file ({first}); copy it again.") from error
