"""Features for the second model: the first model's scores of a block, its neighbours, element, group and page."""

from __future__ import annotations

import numpy as np

from data_lake.text.compiled import compiled
from tasks.corpus.clean.html.blocks import Blocks
from tasks.corpus.clean.html.containers import core_element, groups_of, signed, sums

_SECOND = (
    "p p-1 p+1 p-2 p+2 p_window2 p_window5 p_window15 p_page p_rank p_group in_mass mass_distance mass_share "
    "before_first after_last last_yes next_yes p_0 p_1 p_2 p_3 in_run run_distance"
)
SECOND = tuple(_SECOND.split())


def more_features(blocks: Blocks, values: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return float32[blocks, NAMES + SECOND]: `values` and features from the first scores (float32[blocks], 0 to 1)."""
    return second_features(  # type: ignore[no-any-return]
        values, scores, blocks.element, blocks.counts, blocks.parent, blocks.path, blocks.first, blocks.last
    )


@compiled
def second_features(values, scores, owner, counts, parents, paths, first, last):  # type: ignore[no-untyped-def]
    n, width = values.shape
    out = np.zeros((n, width + 24), np.float32)
    if n == 0:
        return out
    out[:, :width] = values
    units = counts[:, 0]
    weight = np.empty(n, np.float32)
    for i in range(n):
        weight[i] = np.sqrt(units[i]) + 1
    weights, masses, likely = sums(weight), sums(weight * scores), sums(units * scores)
    core = core_element(parents, parents, first, last, likely, 0.85)
    keys = np.empty(n, np.uint32)
    for i in range(n):
        keys[i] = paths[owner[i]]
    group, groups = groups_of(keys)
    of_group, p_group = np.zeros(groups), np.zeros(groups)
    for i in range(n):
        of_group[group[i]] += weight[i]
        p_group[group[i]] += weight[i] * scores[i]
    first_yes, last_yes = n, -1
    for i in range(n):
        if scores[i] > 0.5:
            first_yes = min(first_yes, i)
            last_yes = i
    # the run of blocks with the largest sum of (p - .5) * weight (Kadane's algorithm): the body of an article
    best, run_first, run_last, running, begin = 0.0, 0, 0, 0.0, 0
    for i in range(n):
        running += (scores[i] - 0.5) * weight[i]
        if running <= 0:
            running, begin = 0.0, i + 1
        elif running > best:
            best, run_first, run_last = running, begin, i + 1
    most = scores.max()
    since = np.full(n, 100.0)
    gap = 100.0
    for i in range(n):
        since[i] = gap
        gap = 1.0 if scores[i] > 0.5 else min(100.0, gap + 1)
    gap = 100.0
    for i in range(n - 1, -1, -1):
        row = out[i]
        k = width
        row[k] = scores[i]
        row[k + 1] = scores[i - 1] if i >= 1 else -1
        row[k + 2] = scores[i + 1] if i + 1 < n else -1
        row[k + 3] = scores[i - 2] if i >= 2 else -1
        row[k + 4] = scores[i + 2] if i + 2 < n else -1
        k += 5
        for reach in (2, 5, 15):
            a, b = max(0, i - reach), min(n, i + reach + 1)
            row[k] = (masses[b] - masses[a]) / (weights[b] - weights[a])
            k += 1
        row[k] = masses[n] / weights[n]
        row[k + 1] = scores[i] / max(most, np.float32(1e-6))
        row[k + 2] = p_group[group[i]] / of_group[group[i]]
        row[k + 3] = first[core] <= i < last[core]
        row[k + 4] = signed(i, first[core], last[core])
        row[k + 5] = (likely[last[core]] - likely[first[core]]) / max(1.0, likely[n])
        row[k + 6] = np.log1p(max(0, first_yes - i))
        row[k + 7] = np.log1p(max(0, i - last_yes))
        row[k + 8] = np.log1p(since[i])
        row[k + 9] = np.log1p(gap)
        gap = 1.0 if scores[i] > 0.5 else min(100.0, gap + 1)
        k += 10
        around_it, wide = owner[i], 0
        for _ in range(4):
            while around_it != 0 and last[around_it] - first[around_it] <= wide:
                around_it = parents[around_it]
            a, b = first[around_it], last[around_it]
            wide = b - a
            row[k] = (masses[b] - masses[a]) / max(1e-6, weights[b] - weights[a])
            k += 1
        row[k] = run_first <= i < run_last
        row[k + 1] = signed(i, run_first, run_last)
    return out
