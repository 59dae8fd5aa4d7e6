"""Tie-out: PSA receivables against the books', every cent of difference with its document."""
