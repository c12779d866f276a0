"""What a network with a head says of texts: how probable it takes each label to be, for a text's beginning or windows.

It learns nothing and needs no trainer, so that others than those that train can ask it, such as clean's processes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from model.batches import Batch
from model.folder import load_headed
from model.hardware import choose_device
from model.losses import IGNORE
from model.tokenizer import Tokenizer

if TYPE_CHECKING:
    from model.headed import Headed


def text_ids(tokenizer: Tokenizer, text: str, limit: int) -> tuple[tuple[int, ...], bool]:
    """Return the ids of a text between its begin and end tokens, and whether its end was cut off to fit `limit`."""
    (ids,), cut = windows_of(tokenizer, text, limit, 1)
    return ids, cut


def windows_of(tokenizer: Tokenizer, text: str, limit: int, most: int) -> tuple[list[tuple[int, ...]], bool]:
    """Return at most `most` pieces of a text, each between its begin and end tokens and of at most `limit` tokens, and
    whether some of the text is in none.

    The first is the text's beginning; several are spread evenly, to the text's end.
    """
    begin = (tokenizer.bos,) if tokenizer.has("bos") else ()
    end = (tokenizer.eos,) if tokenizer.has("eos") else ()
    room = limit - len(begin) - len(end)
    ids = tokenizer.encode(text)
    needed = max(1, -(-len(ids) // room))
    count = min(most, needed)
    starts = [round(number * (len(ids) - room) / (count - 1)) for number in range(count)] if count > 1 else [0]
    return [(*begin, *ids[start : start + room], *end) for start in starts], needed > count


def labelled_batch(ids: Sequence[Sequence[int]], labels: Sequence[int], pad: int) -> Batch:
    """Put texts into one batch. The label of each stands in the first column of the targets, so a step counts texts."""
    lengths = torch.tensor([len(one) for one in ids])
    inputs = torch.full((len(ids), int(lengths.max())), pad, dtype=torch.int64)
    targets = torch.full_like(inputs, IGNORE)
    for row, one in enumerate(ids):
        inputs[row, : len(one)] = torch.tensor(one)
        targets[row, 0] = labels[row]
    return Batch(inputs, targets, lengths)


def log_probabilities(model: Headed, ids: Sequence[Sequence[int]], pad: int, at_once: int = 64) -> Tensor:
    """Return the log-probability of each label for each text, float32 (texts, labels), on the CPU.

    Texts of like lengths are read together, so that little is padding.
    """
    was_training = model.training
    model.eval()
    found = torch.empty(len(ids), model.outputs)
    order = sorted(range(len(ids)), key=lambda number: len(ids[number]))
    with torch.inference_mode():
        for start in range(0, len(order), at_once):
            part = order[start : start + at_once]
            batch = labelled_batch([ids[number] for number in part], [0] * len(part), pad).to(model.device)
            found[part] = model.scores(batch).log_softmax(-1).cpu()
    model.train(was_training)
    return found


def labels_in(folder: Path) -> list[str]:
    """Return the names of the labels of a classifier's folder. ValueError if it has none."""
    try:
        return [str(label) for label in json.loads((folder / "labels.json").read_text("utf-8"))["labels"]]
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{folder} is no folder of a classifier ({type(error).__name__}: {error}).") from error


class TextClassifier:
    """A trained classifier, loaded from its folder. ValueError if the folder is not one."""

    def __init__(self, folder: Path, device: str = "auto") -> None:
        self.labels = labels_in(folder)
        self._model, _ = load_headed(folder, choose_device(device))
        self._tokenizer = Tokenizer.load(folder / "tokenizer")
        longest: int | None = json.loads((folder / "labels.json").read_text("utf-8"))["max_tokens"]
        context = self._model.config.max_seq_len
        self._limit = min(context, longest or context)

    def probabilities(self, texts: Sequence[str], windows: int = 1) -> tuple[Tensor, list[bool]]:
        """Return the probability of each label for each text, float32 (texts, labels), and whether of a text only some
        was read; of several windows, the mean.
        """
        read = [windows_of(self._tokenizer, text, self._limit, windows) for text in texts]
        found = log_probabilities(self._model, [ids for pieces, _ in read for ids in pieces], 0).exp()
        parts = found.split([len(pieces) for pieces, _ in read])
        return torch.stack([part.mean(0) for part in parts]), [cut for _, cut in read]
