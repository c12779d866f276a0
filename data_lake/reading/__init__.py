"""Reading the lake: ledgers and the audit of a corpus, SQL over all artifacts, samples of texts."""
