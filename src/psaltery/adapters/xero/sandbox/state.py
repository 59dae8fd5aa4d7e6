"""What the sandbox knows: its apps, and the books of each organisation."""

from __future__ import annotations

import random
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from psaltery.adapters.sandboxing import Clock, Document, Store
from psaltery.adapters.xero.sandbox import dates

# The id of what was not created.
ZERO_GUID = "00000000-0000-0000-0000-000000000000"
# The member that holds the id, by kind.
ID_FIELDS = {
    "Accounts": "AccountID",
    "BankTransactions": "BankTransactionID",
    "BatchPayments": "BatchPaymentID",
    "BrandingThemes": "BrandingThemeID",
    "ContactGroups": "ContactGroupID",
    "Contacts": "ContactID",
    "CreditNotes": "CreditNoteID",
    "Currencies": "Code",
    "Invoices": "InvoiceID",
    "Items": "ItemID",
    "Overpayments": "OverpaymentID",
    "Payments": "PaymentID",
    "Prepayments": "PrepaymentID",
    "PurchaseOrders": "PurchaseOrderID",
    "TaxRates": "TaxType",
    "TrackingCategories": "TrackingCategoryID",
    "Users": "UserID",
}


@dataclass(frozen=True)
class Client:
    """An app registered with Xero. An empty secret makes it a PKCE app.

    `broad_scopes` stands for apps created before March 2026; `bulk_connections` lets one consent
    choose several organisations; `custom_connection` is the tenant of a client-credentials app.
    """

    id: str
    secret: str = ""
    redirect_uris: tuple[str, ...] = ()
    name: str = "Psaltery"
    broad_scopes: bool = False
    bulk_connections: bool = True
    custom_connection: str | None = None


def fold(text: str) -> str:
    """How Xero compares names: no case, no blanks at the ends, runs of blanks as one."""
    return " ".join(text.split()).casefold()


def _sales_number(document: Document) -> str | None:
    number = document.get("InvoiceNumber") or document.get("CreditNoteNumber")
    # Only sales numbers are the organisation's own.
    sales = document.get("Type") in ("ACCREC", "ACCRECCREDIT")
    return fold(number) if number and sales else None


def _field(name: str) -> Callable[[Document], str | None]:
    return lambda document: fold(str(document[name])) if document.get(name) else None


# What must be found fast, and is unique where Xero says so.
INDEXES: dict[str, dict[str, Callable[[Document], str | None]]] = {
    "Accounts": {"code": _field("Code")},
    "Contacts": {
        "name": _field("Name"),
        "number": _field("ContactNumber"),
        "account_number": _field("AccountNumber"),
    },
    "Invoices": {"sales_number": _sales_number, "number": _field("InvoiceNumber")},
    "CreditNotes": {"sales_number": _sales_number, "number": _field("CreditNoteNumber")},
    "Items": {"code": _field("Code")},
    "PurchaseOrders": {"number": _field("PurchaseOrderNumber")},
}


@dataclass
class _Index:
    revision: int = -1
    ids: dict[str, dict[str, dict[str, None]]] = field(default_factory=dict)


class Books:
    """One organisation's documents, by kind ("Invoices") and id, with indexes."""

    def __init__(self, store: Store, clock: Clock, tenant_id: str) -> None:
        self.store = store
        self.clock = clock
        self.tenant_id = tenant_id
        self.listeners: list[Callable[[Books, str, Document, str], None]] = []
        self._indexes: dict[str, _Index] = defaultdict(_Index)

    def collection(self, kind: str) -> str:
        """The store's name for this organisation's documents of a kind."""
        return f"{self.tenant_id}/{kind}"

    def get(self, kind: str, identifier: str) -> Document | None:
        """The document with that id, in any case of letters."""
        return self.store.get(self.collection(kind), identifier.lower())

    def all(self, kind: str) -> list[Document]:
        """Every document of the kind, oldest first."""
        return self.store.all(self.collection(kind))

    def put(self, kind: str, document: Document, quiet: bool = False) -> Document:
        """Saves the document as it is, and tells the webhooks unless it is a quiet change."""
        collection, identifier = self.collection(kind), str(document[ID_FIELDS[kind]]).lower()
        before = self.store.get(collection, identifier)
        index = self._indexes[kind]
        # Documents may have been loaded past this class; a stale index is then rebuilt later.
        current = index.revision == self.store.revision(collection)
        self.store.put(collection, identifier, document)
        if current:
            _reindex(kind, index, identifier, before, document)
            index.revision = self.store.revision(collection)
        for tell in () if quiet else self.listeners:
            tell(self, kind, document, "UPDATE" if before else "CREATE")
        return document

    def touch(self, kind: str, document: Document) -> Document:
        """Saves the document with the time of this change."""
        return self.put(kind, {**document, **self.stamp(kind)})

    def stamp(self, kind: str) -> Document:
        """`UpdatedDateUTC`, and its ISO twin where Xero has one (since July 2026)."""
        now = self.clock.now()
        stamped: Document = {"UpdatedDateUTC": dates.wire(now)}
        if kind in ("Invoices", "CreditNotes", "Payments", "Prepayments", "Overpayments"):
            stamped["UpdatedDateUTCString"] = dates.iso_moment(now)
        return stamped

    def delete(self, kind: str, identifier: str) -> None:
        """Forgets the document altogether, which Xero does with few kinds."""
        self.store.delete(self.collection(kind), identifier.lower())

    def lookup(self, kind: str, index_name: str, value: str) -> list[Document]:
        """The documents whose indexed field equals `value`, compared as Xero does."""
        index = self._indexes[kind]
        if index.revision != self.store.revision(self.collection(kind)):
            self._rebuild(kind, index)
        found = index.ids.get(index_name, {}).get(fold(value), {})
        documents = (self.get(kind, identifier) for identifier in found)
        return [document for document in documents if document]

    def _rebuild(self, kind: str, index: _Index) -> None:
        index.ids = {}
        for document in self.all(kind):
            _reindex(kind, index, str(document[ID_FIELDS[kind]]).lower(), None, document)
        index.revision = self.store.revision(self.collection(kind))

    def organisation(self) -> Document:
        """The organisation itself. Raises `LookupError` for a practice or an unknown tenant."""
        document = self.get("Organisation", "own")
        if document is None:
            raise LookupError(f"no organisation {self.tenant_id}")
        return document

    def setting(self, name: str, default: Any = None) -> Any:
        """A sandbox-only property of the organisation, set by `/_control/organisations`."""
        return (self.get("Settings", "own") or {}).get(name, default)


def _reindex(
    kind: str, index: _Index, identifier: str, before: Document | None, after: Document
) -> None:
    for name, key_of in INDEXES.get(kind, {}).items():
        entries = index.ids.setdefault(name, {})
        old, new = key_of(before) if before else None, key_of(after)
        if old and old != new:
            entries.get(old, {}).pop(identifier, None)
        if new:
            entries.setdefault(new, {})[identifier] = None


class World:
    """All that the sandbox holds: store, clock, apps, and the books by tenant id."""

    def __init__(self, store: Store, clients: list[Client], clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.clients = {client.id: client for client in clients}
        self._books: dict[str, Books] = {}
        self.listeners: list[Callable[[Books, str, Document, str], None]] = []

    def books(self, tenant_id: str) -> Books:
        """The one object that stands for the tenant's books."""
        tenant_id = tenant_id.lower()
        if tenant_id not in self._books:
            books = Books(self.store, self.clock, tenant_id)
            books.listeners = self.listeners
            self._books[tenant_id] = books
        return self._books[tenant_id]

    def tenants(self) -> list[Document]:
        """`{"tenantId", "tenantType", "tenantName"}` of every organisation and practice."""
        return self.store.all("tenants")

    def tenant(self, tenant_id: str) -> Document | None:
        """The tenant with that id, in any case of letters."""
        return self.store.get("tenants", tenant_id.lower())

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Changes made inside send no webhooks: history that was there before we looked."""
        listeners, self.listeners[:] = list(self.listeners), []
        try:
            yield
        finally:
            self.listeners[:] = listeners


_ids: random.Random = random.SystemRandom()


def new_id() -> str:
    """A new id; see `same_ids`."""
    return str(uuid.UUID(int=_ids.getrandbits(128), version=4))


@contextmanager
def same_ids(seed: object) -> Iterator[None]:
    """Inside, new ids follow from the seed, for a world that is the same each time it is made."""
    global _ids
    before, _ids = _ids, random.Random(str(seed))
    try:
        yield
    finally:
        _ids = before
