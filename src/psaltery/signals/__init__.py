"""What is worth an alert: signals, the health of accounts, and the board of renewals."""
