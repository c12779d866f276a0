"""One stage of the data side on generated documents, in a process of its own: `growth_run.py FOLDER STAGE`.

It prints {"seconds": processor time, "peak_bytes": resident memory} of itself and its children as JSON. The memory is
the largest of this process and the largest of its children together, which is all there is with one worker.
"""

from __future__ import annotations

import json
import random
import re
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

CONFIGS = {
    "crawl": {"paths": ("*.jsonl",)},
    "clean": {"workers": 1},
    "dedup": {"workers": 1},
}
"""What the stages are told, where it is not the default. The files lie in FOLDER, the artifacts in FOLDER/lake."""


def generate(path: Path, count: int, *, copies: float = 0.1) -> None:
    """Write `count` documents of about 150 English words as JSON lines; a share of them are near-duplicates.

    The words are drawn one by one, as often as they stand in Python's own help, so there is no text but these texts.
    """
    from pydoc_data.topics import topics

    draw = random.Random(count)
    words = re.findall(r"[a-z]{2,12}", " ".join(topics.values()).lower())
    texts: list[str] = []  # the last ones, to be copied from
    with path.open("w") as file:
        for number in range(count):
            if texts and draw.random() < copies:
                text = f"{draw.choice(texts)} {draw.choice(words)} {draw.choice(words)}."
            else:
                text = "\n\n".join(_paragraphs(draw, words))
            texts = [*texts[-99:], text]
            file.write(json.dumps({"id": f"document-{number}", "text": text}) + "\n")


def _paragraphs(draw: random.Random, words: list[str]) -> Iterator[str]:
    for _ in range(5):
        sentences = (" ".join(draw.choices(words, k=draw.randint(6, 14))).capitalize() for _ in range(3))
        yield ". ".join(sentences) + "."


def run(folder: Path, stage: str) -> dict[str, float]:
    """Build `stage` from what the stages before left in the lake."""
    from data_lake.store import Lake
    from flows.graph import STAGES

    lake = Lake(folder / "lake")
    made = STAGES[stage]
    values = dict(CONFIGS[stage])
    if "paths" in values:
        values["paths"] = tuple(str(folder / pattern) for pattern in values["paths"])
    upstream = {name: lake.artifacts(name)[0] for name in made.upstream}
    made.build(lake, made.config_type(**values), upstream)
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {
        "seconds": own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime,
        "peak_bytes": (own.ru_maxrss + children.ru_maxrss) * 1024,
    }


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]), sys.argv[2])))
