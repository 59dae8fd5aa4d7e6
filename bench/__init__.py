"""Benchmarks of the budgets in docs/benchmarks.md. `make bench` runs all, `python -m bench NAME`
one. They report; nothing fails because a machine is slow."""
