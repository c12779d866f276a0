"""Character encodings of the web: labels, tables, declarations, and detection where nothing is declared."""
