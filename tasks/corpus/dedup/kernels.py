"""The compiled inner loops of dedup: sets of shingles, their smallest values, and how many values two sets share.

Each has a numpy counterpart (in `tasks.corpus.dedup.shingles` and `tasks.corpus.dedup.signatures`) that returns the
same bits and is used if there is little to do. Importing this module imports numba.
"""

from __future__ import annotations

import numpy as np

from data_lake.text.compiled import compiled

_ALL = np.uint32(0xFFFFFFFF)


@compiled
def _sort(values, spare, counts, n):  # type: ignore[no-untyped-def]
    """Sort values[:n]: insertion sort for few values, else a radix sort over four bytes, least significant first."""
    if n < 48:
        for i in range(1, n):
            value, k = values[i], i - 1
            while k >= 0 and values[k] > value:
                values[k + 1] = values[k]
                k -= 1
            values[k + 1] = value
        return
    counts[:] = 0
    for i in range(n):
        value = values[i]
        counts[0, value & np.uint32(255)] += 1
        counts[1, (value >> np.uint32(8)) & np.uint32(255)] += 1
        counts[2, (value >> np.uint32(16)) & np.uint32(255)] += 1
        counts[3, value >> np.uint32(24)] += 1
    for digit in range(4):
        total = 0
        for k in range(256):
            here = counts[digit, k]
            counts[digit, k] = total
            total += here
        shift = np.uint32(8 * digit)
        source, target = (values, spare) if digit % 2 == 0 else (spare, values)
        for i in range(n):
            value = source[i]
            k = (value >> shift) & np.uint32(255)
            target[counts[digit, k]] = value
            counts[digit, k] += 1


@compiled
def sets(hashes, begins, out, sizes):  # type: ignore[no-untyped-def]
    """Write each document's distinct 32-bit shingles, sorted, one document after another; return their total number."""
    most = 1
    for i in range(len(sizes)):
        most = max(most, begins[i + 1] - begins[i])
    values, spare, counts = np.empty(most, np.uint32), np.empty(most, np.uint32), np.empty((4, 256), np.int64)
    found = 0
    for i in range(len(sizes)):
        n = begins[i + 1] - begins[i]
        for k in range(n):
            values[k] = np.uint32(hashes[begins[i] + k] & np.uint64(0xFFFFFFFF))
        _sort(values, spare, counts, n)
        first = found
        for k in range(n):
            if k == 0 or values[k] != values[k - 1]:
                out[found] = values[k]
                found += 1
        sizes[i] = found - first
    return found


@compiled
def minwise(mixed, offsets, a, b):  # type: ignore[no-untyped-def]
    """Return the smallest `a * h + b` of each document's mixed hashes: uint32[n_documents, n_permutations]."""
    out = np.full((len(offsets) - 1, len(a)), _ALL, dtype=np.uint32)
    for i in range(len(out)):
        row = out[i]
        for j in range(offsets[i], offsets[i + 1]):
            h = mixed[j]
            for k in range(len(a)):  # one vector instruction handles 8 or 16 of these
                value = np.uint32(h * a[k] + b[k])
                row[k] = min(row[k], value)
    return out


@compiled
def common(values, begins, first, second, out):  # type: ignore[no-untyped-def]
    """Count the values that sets first[i] and second[i] share; set k is values[begins[k] : begins[k + 1]]."""
    for i in range(len(out)):
        a, a_end = begins[first[i]], begins[first[i] + 1]
        b, b_end = begins[second[i]], begins[second[i] + 1]
        count = 0
        while a < a_end and b < b_end:  # no branch inside: its outcome could not be predicted
            x, y = values[a], values[b]
            count += x == y
            a += x <= y
            b += y <= x
        out[i] = count
