"""Fingerprints: one form for equal values, an error for what has none, and code without its comments."""

from __future__ import annotations

import enum
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_lake.fingerprint import canonical, canonical_json, code_fingerprint, sha256_of, source_ast_sha256

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
    code = "from data_lake.fingerprint import sha256_of; print(sha256_of({'b', 'a', 'c', 'dd', 'e'}))"
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


def test_comments_docstrings_and_layout_do_not_count_but_code_does() -> None:
    plain = "def f(x):\n    return x + 1\n"
    dressed = '"""Module."""\n# why\ndef f(x):\n    """Doc."""\n\n    return (x\n            + 1)  # sum\n'
    assert source_ast_sha256(plain) == source_ast_sha256(dressed)
    assert source_ast_sha256(plain) != source_ast_sha256(plain.replace("1", "2"))


def test_a_package_is_all_its_files_and_an_unknown_module_is_an_error() -> None:
    found = code_fingerprint(("data_lake",))
    assert {"data_lake.store", "data_lake.fingerprint"} <= found.keys()
    with pytest.raises(FileNotFoundError, match="no_such_module"):
        code_fingerprint(("tasks.no_such_module",))


def test_threads_that_parse_at_once_do_not_confuse_each_other() -> None:
    source = "x = " + "(1, " * 60 + "2" + ")" * 60 + "\n"
    sources = [source * (5 + i) for i in range(8)]
    expected = [source_ast_sha256(source) for source in sources]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            assert list(pool.map(source_ast_sha256, sources)) == expected
