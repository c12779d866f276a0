"""Train the block model: `python -m tasks.corpus.clean.html.train FOLDER` writes weights.py and prints the scores.

FOLDER has the web content extraction benchmark WCXB (CC BY 4.0; textmill's weights come from 373 of its pages):
`html/*.html.gz`, and `ground-truth/*.json` with each page's main content and type. A block belongs to the text of the
page if its 4-grams of words are in the main content. Training needs lightgbm (the extra `bench`). The same pages always
give the same weights.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from tasks.corpus.clean.html.blocks import Blocks, blocks_of
from tasks.corpus.clean.html.context import SECOND, more_features
from tasks.corpus.clean.html.features import NAMES, features, says
from tasks.corpus.clean.html.metadata import Declared
from tasks.corpus.clean.html.model import Model, Trees, page_features
from tasks.corpus.clean.html.parse import parse
from tasks.corpus.clean.html.source import seen_of

_WORD = re.compile(r"\w+")
DEPTH = 4
FIRST_TREES, SECOND_TREES, GATE_TREES, GATE_DEPTH = 30, 20, 25, 3

# Features that may only raise a block's score, and those that may only lower it: without these constraints the trees
# learn accidental patterns from 373 pages.
_MORE = "units commas ends last_is_end in_top in_top_parent in_core is_p in_article in_main in_named in_best_article"
_LESS = "link_density links in_nav in_footer in_aside in_form in_label in_button in_figure group_links repeated"
_SIGNS = dict.fromkeys(_MORE.split(), 1) | dict.fromkeys(_LESS.split(), -1)
_SIGNS |= {f"para_{k}": 1 for k in range(4)} | {f"links_{k}": -1 for k in range(4)} | {"links-1": -1, "links+1": -1}
_SIGNS |= {f"{where}_{hint}": 1 for where in ("near", "far") for hint in ("content", "article", "body")}
_SIGNS |= {
    f"{where}_{hint}": -1
    for where in ("near", "far")
    for hint in ("nav", "side", "foot", "head", "share", "related", "meta", "ad", "media", "hidden")
}
_FREE = {"mass_distance", "mass_share", "before_first", "after_last", "last_yes", "next_yes", "run_distance"}
_SIGNS |= dict.fromkeys(set(SECOND) - _FREE, 1)


@dataclass(frozen=True)
class Page:
    """A page of the benchmark, the features of its blocks, and the share of each block that is main content."""

    name: str
    declared: Declared
    domain: str
    article: bool
    blocks: Blocks
    values: np.ndarray  # float32[blocks, NAMES]
    share: np.ndarray  # float64[blocks]
    words: np.ndarray  # float64[blocks]
    truth: str

    @property
    def teaches(self) -> bool:
        """Whether the page can be used for training: its main content is in its source, not loaded by a script."""
        return len(self.blocks) > 0 and float(self.share @ self.words) >= 0.3 * len(_WORD.findall(self.truth)) > 0


def read_pages(folder: Path) -> list[Page]:
    """Read the pages of the benchmark, sorted by file name."""
    pages = []
    for path in sorted((folder / "ground-truth").glob("*.json")):
        about = json.loads(path.read_text("utf-8"))
        html = gzip.decompress((folder / "html" / f"{path.stem}.html.gz").read_bytes()).decode("utf-8", "replace")
        parsed = parse(seen_of(html))
        blocks = blocks_of(parsed.seen.source)
        truth = about["ground_truth"]["main_content"] or ""
        share, words = label(block_texts(blocks), truth)
        domain = ".".join((urlsplit(about["url"]).hostname or path.stem).split(".")[-2:])
        article = about["_internal"]["page_type"]["primary"] == "article"
        values = features(blocks, says(parsed.declared))
        pages.append(Page(path.stem, parsed.declared, domain, article, blocks, values, share, words, truth))
    if not pages:
        raise FileNotFoundError(f"{folder} has no ground-truth/*.json: it is not a folder of the benchmark WCXB.")
    return pages


def block_texts(blocks: Blocks) -> list[str]:
    """Return the text of each block."""
    text = blocks.text.tobytes()
    return [text[a:b].decode("utf-8", "replace") for a, b in zip(blocks.start, blocks.end, strict=True)]


def label(texts: Sequence[str], truth: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of each text that is in the main content, 0 to 1, and its word count: two float64[texts]."""
    lines = {" ".join(_WORD.findall(line.lower())) for line in truth.split("\n")}
    wanted = _WORD.findall(truth.lower())
    grams = {n: {tuple(wanted[i : i + n]) for i in range(len(wanted) - n + 1)} for n in (2, 3, 4)}
    words = [_WORD.findall(text.lower()) for text in texts]
    share = np.zeros(len(texts))
    for i, found in enumerate(words):
        if len(found) >= 4:
            share[i] = np.mean([tuple(found[k : k + 4]) in grams[4] for k in range(len(found) - 3)])
        elif " ".join(found) in lines - {""}:
            share[i] = 1
        elif len(found) >= 2 and tuple(found) in grams[len(found)]:
            share[i] = 0.6
    # if a text is on the page more often than in the content, the copies farthest from other content are not content
    places: dict[str, list[int]] = {}
    for i, found in enumerate(words):
        if share[i] > 0.5:
            places.setdefault(" ".join(found), []).append(i)
    mass = share * np.array([len(found) for found in words])
    everything = f" {' '.join(wanted)} "
    for key, copies in places.items():
        extra = len(copies) - everything.count(f" {key} ")
        if extra > 0:
            near = [mass[max(0, i - 6) : i + 7].sum() - mass[i] for i in copies]
            share[[copies[k] for k in np.argsort(near, kind="stable")[:extra]]] = 0
    return share, np.array([len(found) for found in words], dtype=float)


def train(pages: Sequence[Page]) -> Model:
    """Train all trees on these pages."""
    gate = _boost(
        np.concatenate([page_features(page.values) for page in pages if len(page.blocks)]),
        np.array([page.article for page in pages if len(page.blocks)]),
        None,
        trees=GATE_TREES,
        depth=GATE_DEPTH,
        rate=0.12,
        leaf=10,
    )
    useful = [page for page in pages if page.teaches]
    return Model(_pair([page for page in useful if page.article]), _pair(useful), gate)


def folds(pages: Iterable[Page], count: int, seed: int) -> np.ndarray:
    """Return the fold of each page, int64[pages]: pages of the same domain are in the same fold."""
    domains = [page.domain for page in pages]
    distinct = sorted(set(domains))
    shuffled = np.random.RandomState(seed).permutation(len(distinct))
    fold = {distinct[place]: number % count for number, place in enumerate(shuffled)}
    return np.array([fold[domain] for domain in domains])


def _pair(pages: Sequence[Page]) -> tuple[Trees, Trees]:
    """Train the first and the second model; the second learns from scores of models that have not seen the page."""
    values = np.concatenate([page.values for page in pages])
    wanted = np.concatenate([page.share > 0.5 for page in pages])
    # pages have similar weights, however long they are; blocks within a page are weighted by their words
    weights = np.concatenate(
        [
            (page.words + 2) / np.sqrt((len(_WORD.findall(page.truth)) + 100) * (page.words.sum() + 100))
            for page in pages
        ]
    )
    weights /= weights.mean()
    sizes = [len(page.blocks) for page in pages]
    fold = np.repeat(folds(pages, 3, seed=1), sizes)
    scores = np.zeros(len(values), dtype=np.float32)
    for part in range(3):
        others = _boost(values[fold != part], wanted[fold != part], weights[fold != part], trees=FIRST_TREES)
        scores[fold == part] = others.scores(values[fold == part])
    first = _boost(values, wanted, weights, trees=FIRST_TREES)
    parts = np.split(scores, np.cumsum(sizes)[:-1])
    more = np.concatenate(
        [more_features(page.blocks, page.values, part) for page, part in zip(pages, parts, strict=True)]
    )
    return first, _boost(more, wanted, weights, trees=SECOND_TREES)


def _boost(
    values: np.ndarray,
    wanted: np.ndarray,
    weights: np.ndarray | None,
    *,
    trees: int,
    depth: int = DEPTH,
    rate: float = 0.25,
    leaf: int = 30,
) -> Trees:
    import lightgbm

    names = (*NAMES, *SECOND)
    blocks = values.shape[1] >= len(NAMES)
    trained = lightgbm.LGBMClassifier(
        n_estimators=trees,
        num_leaves=2**depth,
        max_depth=depth,
        learning_rate=rate,
        min_child_samples=leaf,
        reg_lambda=5,
        max_bin=63,
        colsample_bytree=0.3 if blocks else 1.0,  # so that no single feature dominates
        monotone_constraints=[_SIGNS.get(name, 0) for name in names[: values.shape[1]]] if blocks else None,
        random_state=0,
        n_jobs=1,
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
    ).fit(values, wanted, sample_weight=weights)
    found = [_complete(tree["tree_structure"], depth) for tree in trained.booster_.dump_model()["tree_info"]]
    feature, threshold, leaves = (np.array(part) for part in zip(*found, strict=True))
    return Trees.read(Trees(feature, threshold, leaves).write())  # rounded, as in weights.py


def _complete(tree: dict[str, Any], depth: int) -> tuple[list[int], list[float], list[float]]:
    """Return a tree as a complete tree: if a branch ends early, both sides of the added splits have the same value."""
    feature, threshold = [0] * (2**depth - 1), [0.0] * (2**depth - 1)
    leaf = [0.0] * 2**depth

    def fill(node: dict[str, Any], place: int) -> None:
        if place >= len(feature):
            leaf[place - len(feature)] = node["leaf_value"]
            return
        if "split_feature" in node:
            feature[place], threshold[place] = node["split_feature"], node["threshold"]
        fill(node.get("left_child", node), 2 * place + 1)
        fill(node.get("right_child", node), 2 * place + 2)

    fill(tree, 0)
    return feature, threshold, leaf


def _source(model: Model) -> str:
    """Return the source of weights.py."""
    lines = [
        '"""The numbers of the block model, written by tasks/corpus/clean/html/train.py from 373 pages of WCXB; see '
        'there."""'
    ]
    parts = {
        "ARTICLE_FIRST": model.article[0],
        "ARTICLE_SECOND": model.article[1],
        "ANY_FIRST": model.any_page[0],
        "ANY_SECOND": model.any_page[1],
        "GATE": model.gate,
    }
    for name, trees in parts.items():
        text = trees.write()
        pieces = re.findall(r".{1,108}(?:\s|$)", text)
        assert "".join(pieces) == text
        lines += ["", f"{name} = (", *(f'    "{piece}"' for piece in pieces), ")"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    model = train(read_pages(Path(sys.argv[1])))
    (Path(__file__).parent / "weights.py").write_text(_source(model))
    kinds = Counter(NAMES[k] for k in model.any_page[0].feature[:, 0])
    print(f"weights.py is written; the trees begin with {', '.join(name for name, _ in kinds.most_common(8))}.")
