"""Payments that were entered in the PSA, on their way to the books."""
