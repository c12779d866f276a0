"""Tables: documents and other rows in Parquet, their schemas, and sorted runs of more rows than memory holds."""
