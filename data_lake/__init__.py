"""The data lake: storage only. Artifacts, schemas, documents, tokens; it imports no Prefect, no MLflow, no torch."""
