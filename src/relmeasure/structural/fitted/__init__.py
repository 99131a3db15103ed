"""The fitted model and what it gives: tables, scores, reliability, comparisons, the bootstrap."""
