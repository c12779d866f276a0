"""Compile the kernels, as numba does once per machine: `make test` runs this while mypy reads.

A fresh clone has none of them, and each process of the tests would compile them for itself.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from data_lake.tokens.packing import count_rows
from model.gpt import GPT
from model.paged_texts import PagedTexts
from model.shape import GPTConfig
from tasks.corpus.clean.config import CleanConfig
from tasks.corpus.clean.extract import html_to_text
from tasks.corpus.dedup.shingles import common, digests, shingle_sets
from tasks.corpus.dedup.signatures import signatures

PAGE = "<html><body>" + "<h1>A page</h1><p>of a few <a href='/'>words</a>.</p>" * 9
TEXTS = pa.array(["a few words, and then a few more", "größer"], pa.large_string())


def main() -> None:
    """Call what calls them."""
    for xml in (False, True):
        html_to_text(PAGE, CleanConfig(ask_below=0), xml=xml)
    digests(TEXTS, compiled=True)
    shingles, begins = shingle_sets(TEXTS, 3, compiled=True)
    signatures(shingles, begins, np.ones((2, 4), dtype=np.uint32), compiled=True)
    common(shingles, begins, np.array([0]), np.array([1]), compiled=True)
    count_rows(np.array([1, 2, 3]), 4)
    shape = GPTConfig(vocab_size=2, n_layer=1, n_head=1, n_kv_head=1, d_model=8, d_ff=8, max_seq_len=16)
    PagedTexts(GPT(shape), 1)


if __name__ == "__main__":
    main()
