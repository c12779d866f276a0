"""The schemas: what the writer lets through and what it stops."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_lake.tables import schemas

ALL = {name: value for name, value in vars(schemas).items() if isinstance(value, pa.Schema)}


@pytest.mark.parametrize("name", sorted(ALL))
def test_round_trip_of_an_empty_table(name, tmp_path):
    pq.write_table(ALL[name].empty_table(), tmp_path / "x.parquet")
    assert pq.read_schema(tmp_path / "x.parquet").equals(ALL[name])


def test_a_document_without_text_is_an_error(tmp_path):
    row = {"doc_id": "0" * 16, "source": "s", "n_bytes": 0, "text": None}
    with pytest.raises((pa.ArrowInvalid, OSError), match="text"):
        pq.write_table(pa.Table.from_pylist([row], schema=schemas.DOCUMENTS), tmp_path / "x.parquet")


def test_every_document_can_be_traced_to_its_page():
    for schema in (schemas.DOCUMENTS, schemas.REMOVED):
        assert {"doc_id", "url", "source", "text", "n_bytes"} <= set(schema.names)
    assert schemas.DOCUMENTS.field("fetched_at").type == schemas.PAGES.field("fetched_at").type
