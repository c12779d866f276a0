"""Character encodings of the web: labels, tables, declarations, and detection if nothing is declared."""
