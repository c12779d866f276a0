"""Settings for reading the rows of jsonl, json, csv and parquet files."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.stage.config import StageConfig


class FieldNames(StageConfig):
    """Which columns of a row (jsonl, json, csv, parquet) hold what; `a.b` is the field b inside a."""

    text: str = Field("text", description="column that holds the document's text (or HTML, see `mime`)")
    id: str = Field("id", description="column that holds the row's own id; used for doc_id where there is no URL")
    url: str = Field("url", description="column that holds the URL the text came from")
    title: str = Field("title", description="column that holds the title")
    date: str = Field("fetched_at", description="column that holds the date of fetching (timestamp or ISO 8601)")
    mime: str = Field("text/plain", description="MIME type of the text column: text/plain or text/html")


class CsvFormat(StageConfig):
    """How .csv and .tsv files are read. The first row names the columns."""

    quoting: Literal["auto", "double", "backslash", "none"] = Field(
        "auto",
        description='quotation marks: `double` as RFC 4180 ("" for one within a value), `backslash` with \\" for one, '
        '`none` = characters like others; `auto` = RFC 4180 for rows that hold to it, else \\" or as they stand; with '
        "tabs as they stand where each line is a row",
    )
    delimiter: str = Field(
        "",
        max_length=1,
        description="between two values; empty = comma in .csv and tab in .tsv, unless another one of , ; tab | makes "
        "the text column one of the header",
    )
