"""Batches in the network: of packed rows each document sees itself alone; of a pair, the source is read first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from model import flex, masks
from model.batches import Batch
from model.gpt import GPT
from model.shape import GPTConfig

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask


def states_of(model: GPT, batch: Batch) -> Tensor:
    """Return the model's states (B, T, C) of a batch's inputs, as if each document of a packed row were alone.

    An encoder-decoder first reads the source of each row.
    """
    if batch.source is not None:
        seen = None if batch.source_lengths is None else masks.padded(batch.source_lengths, batch.source.shape[1])
        return model.hidden(batch.inputs, memory=model.encode(batch.source, seen), memory_mask=seen)
    if batch.documents is None:
        if model.config.causal or batch.lengths is None:  # padding at the end of a causal row is never seen
            return model.hidden(batch.inputs)
        seen = masks.padded(batch.lengths.to(batch.inputs.device), batch.inputs.shape[1])
        return model.hidden(batch.inputs, mask=seen)
    mask = document_mask(batch.documents, model.config)
    return model.hidden(batch.inputs, positions=document_positions(batch.documents), mask=mask)


def document_positions(documents: Tensor) -> Tensor:
    """Return where each token stands in its document: int64 (B, T), counted from 0; documents (B, T) lie one behind
    the other."""
    places = torch.arange(documents.shape[1], device=documents.device).expand_as(documents)
    begins = torch.ones_like(documents, dtype=torch.bool)
    begins[:, 1:] = documents[:, 1:] != documents[:, :-1]
    return places - torch.where(begins, places, 0).cummax(dim=1).values


def document_mask(documents: Tensor, config: GPTConfig) -> Tensor | BlockMask:
    """Return the mask that keeps attention within a document, in the form that is fastest on its device.

    FlexAttention knows no dropout and no very narrow heads, so a model with either gets a tensor on a GPU as well.
    """
    if documents.device.type == "cuda" and not config.dropout and config.head_dim >= flex.NARROWEST:
        return flex.document_blocks(documents, causal=config.causal)
    return masks.same_document(documents, causal=config.causal)
