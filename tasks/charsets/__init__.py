"""Character encodings as the web has them: labels, tables, declarations, and detection where nothing is declared."""
