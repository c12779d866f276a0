"""The data lake: storage only. Artifacts, schemas, documents, tokens; knows no Prefect, no MLflow, no torch."""
