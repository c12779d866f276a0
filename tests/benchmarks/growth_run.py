"""One stage of the data side on generated documents, in a process of its own: `growth_run.py FOLDER STAGE`.

It prints the processor seconds of itself and its children. `generate` makes the documents.
"""

from __future__ import annotations

import json
import re
import resource
import sys
from pathlib import Path
from typing import Any

CONFIGS: dict[str, dict[str, Any]] = {
    "crawl": {"paths": ("*.jsonl",), "workers": 1},
    "clean": {"workers": 1, "shard_megabytes": 10},
    "dedup": {"workers": 1, "memory_megabytes": 64},
}
"""What the stages are told, where it is not the default. The files lie in FOLDER, the artifacts in FOLDER/lake.

A shard of clean is as large as the smaller corpus, and dedup's budget smaller than what the larger one needs: so it is
the number of documents that grows, and not the share of a budget that is used."""


def generate(folder: Path, count: int, *, words: int = 170, copies: float = 0.1) -> None:
    """Write `count` documents of 1 kB of English words as JSON lines; a share of them are near-duplicates.

    The words are drawn one by one, as often as they stand in Python's own help, so there is no text but these texts.
    A file holds 10,000 documents, as a crawl comes in files.
    """
    from pydoc_data.topics import topics

    import numpy as np

    rng = np.random.default_rng(count)
    known = re.findall(r"[a-z]{2,12}", " ".join(topics.values()).lower())
    text = ""
    for first in range(0, count, 10_000):
        with (folder / f"documents-{first:08d}.jsonl").open("w") as file:
            for number in range(first, min(count, first + 10_000)):
                if text and rng.random() < copies:
                    text = f"{text} {known[rng.integers(len(known))]}."
                else:
                    drawn = [known[place] for place in rng.integers(len(known), size=words).tolist()]
                    sentences = (" ".join(drawn[start : start + 10]).capitalize() for start in range(0, words, 10))
                    text = ".\n\n".join(sentences) + "."
                file.write(json.dumps({"id": f"document-{number}", "text": text}) + "\n")


def run(folder: Path, stage: str) -> float:
    """Build `stage` from what the stages before left in the lake; returns processor seconds, the imports' included."""
    from data_lake.store.lake import Lake
    from flows.graph.stages import STAGES
    from tasks.corpus.dedup import shingles

    shingles.COMPILE_FROM = 0  # both sizes take the compiled kernels: choosing them is no growth
    lake = Lake(folder / "lake")
    made = STAGES[stage]
    values = dict(CONFIGS[stage])
    if "paths" in values:
        values["paths"] = tuple(str(folder / pattern) for pattern in values["paths"])
    before = {"pages": "crawl", "documents": "clean"}
    inputs = {role: lake.artifacts(before[role])[0] for role in made.inputs if role in before}
    made.build(lake, made.config_type(**values), inputs)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


if __name__ == "__main__":
    print(run(Path(sys.argv[1]), sys.argv[2]))
