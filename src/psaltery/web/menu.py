"""The sidebar: the explicit list of what it offers, and the counts beside its entries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpRequest

from psaltery.accounts.models import Person, Role
from psaltery.review.models import IS_EXCEPTION, Card
from psaltery.signals.queries import open_count
from psaltery.web.routes import address_of


def open_exceptions() -> int:
    """Cards that wait for a person."""
    return Card.objects.filter(IS_EXCEPTION, state=Card.State.OPEN).count()


@dataclass(frozen=True)
class Entry:
    """One line of the menu. `count` is shown beside it when it is not zero."""

    label: str
    icon: str
    route: str
    count: Callable[[], int] | None = None
    needs: Role = Role.VIEWER
    children: tuple[Entry, ...] = ()


ENTRIES = (
    Entry("Dashboard", "layout-dashboard", "web:dashboard"),
    Entry(
        "Customers",
        "users",
        "",
        children=(
            Entry("List", "", "hub:index"),
            Entry("All together", "", "hub:overview"),
            Entry("Renewals", "", "signals:renewals"),
        ),
    ),
    Entry("Documents", "file-invoice", "posting:index"),
    Entry("Exceptions", "alert-triangle", "review:index", count=open_exceptions),
    Entry("Alerts", "bell", "signals:index", count=open_count),
    Entry(
        "Ledger",
        "book-2",
        "",
        children=(
            Entry("Contacts", "", "ledger:customers"),
            Entry("Invoices", "", "ledger:invoices"),
            Entry("Payments", "", "ledger:payments"),
            Entry("Payments of the PSA", "", "matching:taken"),
            Entry("Credit notes", "", "ledger:credit_notes"),
            Entry("Refunds", "", "ledger:refunds"),
            Entry("Unallocated", "", "ledger:unallocated"),
            Entry("Items", "", "sync:items"),
        ),
    ),
    Entry("Tie-out", "scale", "matching:index"),
    Entry("Mapping", "route", "mapping:index"),
    Entry("Connections", "plug-connected", "connections:index"),
    Entry("Audit log", "history", "audit:index"),
    Entry("Settings", "settings", "accounts:settings", needs=Role.ADMIN),
)


@dataclass(frozen=True)
class Item:
    """An entry as this person sees it now."""

    label: str
    icon: str
    url: str
    count: int
    is_current: bool
    children: tuple[Item, ...] = ()


def menu(request: HttpRequest) -> list[Item]:
    """The entries that the person may open and that this installation serves."""
    person = request.user
    if not isinstance(person, Person):
        return []
    # What a person may not open is not offered; the page itself refuses as well.
    items = (_item(entry, request.path) for entry in ENTRIES if person.may(entry.needs))
    return [item for item in items if item]


def _item(entry: Entry, path: str) -> Item | None:
    children = tuple(item for child in entry.children if (item := _item(child, path)))
    url = children[0].url if children else address_of(entry.route)
    # A page that this installation does not serve leaves no dead entry behind.
    if not url:
        return None
    is_current = any(child.is_current for child in children) if children else _is_at(path, url)
    # After the check above: an entry that is not shown costs no query.
    count = entry.count() if entry.count else 0
    return Item(entry.label, entry.icon, url, count, is_current, children)


def _is_at(path: str, url: str) -> bool:
    return path == url if url == "/" else path.startswith(url)
