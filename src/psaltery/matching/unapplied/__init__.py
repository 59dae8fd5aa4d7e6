"""Money in the books that lies on no invoice: which invoices of the PSA it may be for."""
