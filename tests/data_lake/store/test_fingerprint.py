"""Fingerprints: one form for equal values, and an error for what has none."""

from __future__ import annotations

import enum
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_lake.store.fingerprint import canonical, canonical_json, sha256_of

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(values)
def test_canonical_json_is_json_and_stable(value: object) -> None:
    text = canonical_json(value)
    assert canonical_json(json.loads(text)) == text


@given(st.dictionaries(st.text(), st.integers()))
def test_the_order_of_a_mapping_does_not_count(mapping: dict[str, int]) -> None:
    assert sha256_of(mapping) == sha256_of(dict(reversed(list(mapping.items()))))


def test_sets_hash_alike_in_processes_with_other_hash_seeds() -> None:
    code = "from data_lake.store.fingerprint import sha256_of; print(sha256_of({'b', 'a', 'c', 'dd', 'e'}))"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(seen) == 1


class Colour(enum.Enum):
    RED = "red"


def test_known_types_have_a_form() -> None:
    assert canonical({"path": Path("a/b"), "colour": Colour.RED, "pair": (1, 2.0), "raw": b"\x00"}) == {
        "colour": "red",
        "pair": [1, 2],
        "path": "a/b",
        "raw": {"bytes": "00"},
    }


@pytest.mark.parametrize("value", [object(), lambda: None, float("nan"), float("inf"), {1: "a"}])
def test_what_has_no_canonical_form_is_an_error_that_names_the_place(value: object) -> None:
    with pytest.raises(TypeError, match=r"config\.field"):
        canonical({"field": value}, "config")
