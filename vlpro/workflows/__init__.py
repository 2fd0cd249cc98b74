"""Ready workflows: documents to forms, boards to verdicts, many files at once, reports."""
