"""Fixtures for tests against the real thing: PostgreSQL, web server, worker, browser."""
