"""Addresses of pages that may not be served in an installation."""

from __future__ import annotations

from urllib.parse import urlencode

from django.urls import NoReverseMatch, reverse


def address_of(route: str, **query: str) -> str:
    """The address of a named page with a query, or nothing where no such page is served."""
    try:
        address = reverse(route) if route else ""
    except NoReverseMatch:
        return ""
    return f"{address}?{urlencode(query)}" if address and query else address
