"""A Hugging Face folder: its config.json, and the file that holds each weight. Read without torch, and not trusted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONFIG = "config.json"
SAFETENSORS, PICKLE = "model.safetensors", "pytorch_model.bin"
INDEX = ".index.json"
BESIDE = (
    CONFIG, "generation_config.json", "tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt",
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
)  # fmt: skip
"""The files beside the weights that say what a model is and how it reads text, as far as there are such."""
MAX_JSON = 64 << 20
"""Bytes of a JSON file that is still read. The index of a model with 100,000 tensors has 10 MB."""
_POINTER = b"version https://git-lfs.github.com/spec/"
_OTHER_FORMATS = {
    "*.gguf": "a GGUF file, the format of llama.cpp",
    "*.safetensors": "safetensors under another name",
    "consolidated*.pth": "Meta's own format",
    "tf_model.h5": "TensorFlow's weights",
    "flax_model*.msgpack": "Flax's weights",
    "*.onnx": "an ONNX graph",
    "pytorch_model*.bin": "a part of a model without its index",
}


class NoModelFolder(ValueError):
    """The folder holds no model that can be read. The message is a full sentence with the way out."""


@dataclass(frozen=True)
class Stored:
    """Where a tensor is stored, its type (safetensors' name: F32, BF16, …) and its shape."""

    file: Path
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ModelFolder:
    """A folder with a model.

    `tensors` describes each weight of safetensors files; of pickles it is None, since they say it only when loaded.
    """

    path: Path
    config: Mapping[str, Any]
    files: tuple[Path, ...]
    tensors: Mapping[str, Stored] | None

    @property
    def is_pickled(self) -> bool:
        """Whether the weights are PyTorch files, which are pickles."""
        return self.tensors is None


def read_folder(path: Path) -> ModelFolder:
    """Return what a folder holds; only headers are read, so that it takes no time. Raises NoModelFolder."""
    if path.is_file():
        raise NoModelFolder(f"{path} is a file; name the folder that holds the model's {CONFIG} and weights.")
    if not path.is_dir():
        hub = (
            "" if path.is_absolute() else " Nothing is downloaded here: if this is a name on a hub, download it first."
        )
        raise NoModelFolder(f"There is no folder {path}.{hub}")
    config = _config(path)
    files, pickled = _weight_files(path)
    return ModelFolder(path, config, files, None if pickled else dict(_stored(path, files)))


def files_read(path: Path) -> list[Path]:
    """Return every file of a folder that an import reads, sorted; raises NoModelFolder if it holds no model."""
    folder = read_folder(path)
    return sorted({*folder.files, *(path / name for name in BESIDE if (path / name).is_file())})


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file. Raises NoModelFolder if it is too large, damaged or no object."""
    try:
        size = path.stat().st_size
        if size > MAX_JSON:
            raise NoModelFolder(f"{path} has {size:,} bytes, too many for a description of a model.")
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise NoModelFolder(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise NoModelFolder(f"{path} is no valid JSON: {error}. Copy the folder again.") from error
    if not isinstance(found, dict):
        raise NoModelFolder(f"{path} holds no JSON object. Copy the folder again.")
    return found


def _config(path: Path) -> dict[str, Any]:
    if (path / CONFIG).is_file():
        return read_json(path / CONFIG)
    why = f"{path} is no model folder: it has no {CONFIG}."
    if (path / "model.json").is_file():
        raise NoModelFolder(f"{why} It is a model of textmill itself, which needs no import.")
    if (path / "adapter_config.json").is_file():
        raise NoModelFolder(f"{why} It holds an adapter only: merge it into its base model, and import that.")
    inner = sorted(found.parent for found in path.glob(f"*/{CONFIG}")) or sorted(
        found.parent for found in path.glob(f"snapshots/*/{CONFIG}")
    )
    if inner:
        raise NoModelFolder(f"{why} Did you mean {inner[0]}?")
    raise NoModelFolder(f"{why} Name one that holds {CONFIG}, {SAFETENSORS} and the tokenizer's files.")


def _weight_files(path: Path) -> tuple[tuple[Path, ...], bool]:
    """Return the files that hold the weights, and whether they are pickles; safetensors come first."""
    for name in (SAFETENSORS, PICKLE):
        if (path / name).is_file():
            return (path / name,), name == PICKLE
        if (path / (name + INDEX)).is_file():
            return tuple(_indexed(path, name + INDEX)), name == PICKLE
    there = [f"{found[0].name} ({what})" for what, found in _others(path)]
    has = f" It has {', '.join(there)}, which cannot be imported." if there else ""
    raise NoModelFolder(f"{path} has no weights: neither {SAFETENSORS} nor {PICKLE}, nor an index of their parts.{has}")


def _others(path: Path) -> Iterator[tuple[str, list[Path]]]:
    for pattern, what in _OTHER_FORMATS.items():
        if found := sorted(path.glob(pattern)):
            yield what, found


def _indexed(path: Path, name: str) -> Iterator[Path]:
    """Yield the files of an index, each once; all must be files of this folder."""
    places = read_json(path / name).get("weight_map")
    if not isinstance(places, dict) or not places or not all(isinstance(file, str) for file in places.values()):
        raise NoModelFolder(f"{path / name} has no weight_map that names the file of each tensor. Copy it again.")
    files = sorted(set(places.values()))
    if strange := [file for file in files if not re.fullmatch(r"\w[\w.\-]*", file)]:
        raise NoModelFolder(f"{path / name} names {strange[0]!r}, which is no file of this folder.")
    if missing := [file for file in files if not (path / file).is_file()]:
        raise NoModelFolder(
            f"{path} lacks {len(missing)} of the {len(files)} files that {name} names: {some(missing)}. Copy them too."
        )
    yield from (path / file for file in files)


def _stored(path: Path, files: tuple[Path, ...]) -> Iterator[tuple[str, Stored]]:
    seen: dict[str, Path] = {}
    for file in files:
        for name, stored in _header(file):
            if name in seen:
                raise NoModelFolder(f"{path} has the tensor {name} twice: in {seen[name].name} and in {file.name}.")
            seen[name] = file
            yield name, stored


def _header(file: Path) -> Iterator[tuple[str, Stored]]:
    """Yield the tensors of a safetensors file; the library checks that the header is sound and the file complete."""
    from safetensors import SafetensorError, safe_open

    refuse_pointer(file)
    try:
        with safe_open(file, framework="numpy") as opened:
            for name in opened.offset_keys():
                part = opened.get_slice(name)
                yield name, Stored(file, part.get_dtype(), tuple(part.get_shape()))
    except (SafetensorError, OSError) as error:
        raise NoModelFolder(f"{file} is damaged or incomplete ({error}); copy it again.") from error


def refuse_pointer(file: Path) -> None:
    """Raise NoModelFolder if Git left a pointer in place of a large file."""
    with open(file, "rb") as opened:
        if opened.read(len(_POINTER)) == _POINTER:
            raise NoModelFolder(f"{file} is a pointer of Git LFS and not the file itself; run `git lfs pull` there.")


def some(names: list[str] | tuple[str, ...], most: int = 5) -> str:
    """Return names as text: all of them, or the first few and how many more there are."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
