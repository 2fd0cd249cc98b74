"""Files that office people use: tables, Word and PDF, with the label that generated content carries."""
