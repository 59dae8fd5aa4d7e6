"""Reads: the installation, and whether it has been set up."""

from __future__ import annotations

from psaltery.accounts.models import Installation, Person


def installation() -> Installation:
    """The installation's row, or its defaults while it has not been set up."""
    return Installation.objects.filter(pk=Installation.ONLY).first() or Installation()


def is_set_up() -> bool:
    """True once there is a person who can sign in."""
    return Person.objects.exists()
