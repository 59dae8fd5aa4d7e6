"""A served sandbox of Xero, and drafts to write into it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import httpx2

from psaltery.adapters.http import Caller
from psaltery.adapters.xero.books import XeroBooks
from psaltery.adapters.xero.sandbox import Sandbox
from psaltery.records.books import Status, TaxMode
from psaltery.records.drafts import (
    Action,
    BooksKind,
    ContactDraft,
    Draft,
    DraftLine,
    Outcome,
)

AMOUNTS = {"contacts": 30, "invoices": 120, "payments": 60, "credit_notes": 10}
TODAY = date(2026, 11, 20)


def _key(*parts: str) -> str:
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


@dataclass
class World:
    """A served sandbox, and the adapter for its first organisation."""

    sandbox: Sandbox
    url: str
    tenant: str
    books: XeroBooks
    caller: Callable[..., Caller]

    def control(self, place: str, **sent: Any) -> Any:
        answer = httpx2.post(f"{self.url}/_control/{place}", json=sent)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def edit(self, kind: str, identity: str | None = None, **changes: Any) -> Any:
        told = {"tenant": self.tenant, "kind": kind, "id": identity, "changes": changes}
        return self.control("edit", **told)

    def contact(self, name: str, **more: Any) -> str:
        prepared = self.books.prepare(Action.CREATE, ContactDraft(name=name, **more))
        (made,) = self.books.send([prepared], _key(name))
        assert made.accepted, made.problems
        return made.external_id

    def create(self, *drafts: Draft) -> tuple[Outcome, ...]:
        prepared = [self.books.prepare(Action.CREATE, draft) for draft in drafts]
        return self.books.send(prepared, _key(*(one.body for one in prepared)))

    def everything(self, feed: str, cursor: str | None = None) -> tuple[list[Any], str]:
        found: list[Any] = []
        while True:
            page = self.books.pull(feed, cursor)
            found += page.records
            cursor = page.cursor
            if not page.more:
                return found, cursor


def line(**changes: Any) -> DraftLine:
    told: dict[str, Any] = {
        "description": "Managed service",
        "quantity": Decimal("2.5"),
        "unit_amount": Decimal("104.5955"),
        "account_code": "210",
        "tax_type": "OUTPUT",
    }
    return DraftLine(**(told | changes))


def draft(number: str, contact_id: str, **changes: Any) -> Draft:
    told: dict[str, Any] = {
        "kind": BooksKind.INVOICE,
        "number": number,
        "contact_id": contact_id,
        "status": Status.AUTHORISED,
        "issued_on": TODAY,
        "due_on": TODAY + timedelta(days=14),
        "currency": "AUD",
        "tax_mode": TaxMode.EXCLUSIVE,
        "lines": (line(),),
        "reference": "PO 77",
        "url": "https://hub.example/documents/1",
    }
    return Draft(**(told | changes))
