"""Columns as arrays: the same values, whatever slice of which kind of column is asked for."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_lake.tables.arrow_columns import fixed_column, fixed_values, text_bytes

TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=8)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
@given(texts=TEXTS, first=st.integers(0, 8), count=st.integers(0, 8))
def test_the_bytes_of_a_slice_of_texts(kind: pa.DataType, texts: list[str], first: int, count: int) -> None:
    data, begins = text_bytes(pa.array(texts, kind).slice(min(first, len(texts)), count))
    found = [data[a:b].tobytes().decode() for a, b in itertools.pairwise(begins)]
    assert found == texts[first : first + count]


@given(rows=st.integers(0, 9), first=st.integers(0, 9), count=st.integers(0, 9))
def test_numbers_go_into_a_column_and_come_out_of_a_slice_of_it(rows: int, first: int, count: int) -> None:
    values = np.arange(rows * 5, dtype="<u4").reshape(rows, 5)
    column = fixed_column(values)
    assert column.type == pa.binary(20)
    assert column.to_pylist() == [row.tobytes() for row in values]
    assert np.array_equal(fixed_values(column.slice(min(first, rows), count), "<u4"), values[first : first + count])
