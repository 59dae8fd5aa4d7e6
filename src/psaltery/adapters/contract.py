"""What the rest of Psaltery knows of an outside system: manifests, and Protocols of the roles.

An adapter object is made for one organisation (books) or one site (PSA); it holds a `Caller`
(adapters/http.py) that already knows credential, budget and audit, and keeps no other state.
Every method raises only the four failures of `errors.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from psaltery.records.books import BooksSettings, Organisation, Settlement, Tenant
from psaltery.records.drafts import (
    Action,
    BooksKind,
    ContactDraft,
    Draft,
    ItemDraft,
    Outcome,
    PaymentDraft,
)
from psaltery.records.psa import Document, DocumentKind, Permission, PsaPayment

R_co = TypeVar("R_co", covariant=True)


class Role(StrEnum):
    PSA = "psa"
    BOOKS = "books"


class CredentialField(msgspec.Struct, frozen=True, kw_only=True):
    """One field of the connect form. `pattern` is a regular expression for the inline check."""

    name: str
    label: str
    help: str = ""
    secret: bool = False
    required: bool = True
    pattern: str = ""
    placeholder: str = ""
    choices: tuple[tuple[str, str], ...] = ()


class FeedSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One stream of records that can be pulled. `seconds` is the default interval.

    `paced`: read more often than that while the money of its organisation moves.
    """

    name: str
    label: str
    seconds: int = 21600
    paced: bool = False
    on_demand: bool = False  # begun with the first document of ours that it is about
    full_pass_seconds: int = 604800  # a pass over everything, for what deltas miss by design


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The vendor's budget for one organisation. `per_minute` is what we use by default."""

    concurrent: int
    per_minute: int
    per_minute_most: int
    per_day: int | None = None  # None: no daily cap, or read from the headers


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    kind: str  # "xero", "connectwise": the key in the registry and in the database
    label: str
    role: Role
    icon: str
    fields: tuple[CredentialField, ...]
    feeds: tuple[FeedSpec, ...]
    limits: Limits
    oauth: bool = False
    many_organisations: bool = False
    permissions_text: tuple[str, ...] = ()  # what the person must grant, shown on the connect page
    docs: str = ""


class Page(msgspec.Struct, Generic[R_co], frozen=True, kw_only=True):
    """Some records and where to go on.

    `cursor` is opaque to the caller and is stored in the same transaction as the records. While
    `more` is true the next call continues this run; when it is false the cursor starts the next run
    (with the adapter's own overlap). `total` is the number of records in the run, where known.
    `full` says that the run passes over everything, so that what was not seen may be gone.
    """

    records: tuple[R_co, ...]
    cursor: str
    more: bool
    total: int | None = None
    full: bool = False


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """One element of a write, exactly as it will be sent; stored before sending."""

    kind: str  # a BooksKind, "contact", "item" or "payment"
    action: Action
    body: str  # JSON text of this element


Elements = Draft | ContactDraft | ItemDraft | PaymentDraft


class Books(Protocol):
    """A ledger."""

    def organisation(self) -> Organisation:
        """The organisation's own facts; also the health check."""

    def settings(self) -> BooksSettings:
        """All lists that mappings choose from, archived entries included and marked."""

    def pull(self, feed: str, cursor: str | None) -> Page[Any]:
        """The next page of a feed of the manifest: contacts → Customer, invoices → Invoice,
        credit_notes → CreditNote and Settlement (allocations), payments → Settlement,
        overpayments and prepayments → Unallocated and Settlement. `cursor` None = everything.

        A credit note, overpayment or prepayment comes with all touches of its credit: one that is
        stored for it and is not in the page was removed."""

    def count(self, feed: str) -> int | None:
        """How many records a run over everything of a feed would bring; None where the vendor does
        not say. One call."""

    def prepare(self, action: Action, draft: Elements) -> Prepared:
        """The exact element for a write. Pure. A payment can only be created."""

    def send(self, elements: Sequence[Prepared], key: str) -> tuple[Outcome, ...]:
        """Send elements of one kind and action in one request (at most `batch_size`), with an
        idempotency key. One outcome for each element, in order. Never repeats by itself after the
        request may have arrived: raises TryLater(uncertain=True) then."""

    def find_documents(self, kind: BooksKind, numbers: Sequence[str]) -> tuple[Outcome, ...]:
        """Documents of these numbers as they are now, in any status; only those found."""

    def get_document(self, kind: BooksKind, external_id: str) -> Outcome | None: ...

    def find_items(self, codes: Sequence[str]) -> tuple[Outcome, ...]:
        """Items of these codes (`number` is the code); only those found."""

    def payments_on(self, invoice_id: str) -> tuple[Settlement, ...]:
        """All payments that were ever made on an invoice, deleted ones included and marked."""

    def touches_of(self, credit_id: str) -> tuple[Settlement, ...]:
        """All that was ever done with the credit of a credit note; what was removed is marked, or
        missing."""

    def remove_payment(self, payment_id: str, key: str) -> None:
        """Delete a payment. Raises Rejected when the books keep it (reconciled, locked, gone), and
        TryLater(uncertain=True) when the answer was lost: look with `payments_on` then."""

    def allocate(
        self,
        credit_id: str,
        invoice_id: str,
        amount: Decimal,
        key: str,
        *,
        source: str = "credit_note",
    ) -> None:
        """Apply the credit of a credit note (or overpayment, prepayment: `source`) to an invoice;
        its date is the books' to choose. Raises Rejected when either has less left, and
        TryLater(uncertain=True) when the answer was lost: what is left on both says then whether it
        arrived."""

    def find_contacts(
        self, *, names: Sequence[str] = (), contact_numbers: Sequence[str] = ()
    ) -> tuple[Any, ...]:
        """Customers with exactly these names or contact numbers, archived ones included."""

    def get_contact(self, external_id: str) -> Any | None:
        """The Customer, following no merge; None when unknown."""

    def web_address(self, kind: str, external_id: str, short_code: str) -> str:
        """Where a person sees it ("invoice", "bill", "credit_note", "contact"). Pure."""

    @property
    def batch_size(self) -> int: ...


class Psa(Protocol):
    """A professional services automation system."""

    def probe(self) -> tuple[Permission, ...]:
        """Try each permission that the product needs; one entry each, granted or not."""

    def pull(self, feed: str, cursor: str | None) -> Page[Any]:
        """The next page of a feed of the manifest; see the manifest for feed → record."""

    def document(self, kind: DocumentKind, external_id: str) -> Document | None:
        """One document with its lines, read until it is stable (E50); None when it is gone."""

    def payments(self, document_id: str) -> tuple[PsaPayment, ...]: ...

    def create_payment(
        self, document_id: str, amount: Decimal, paid_on: date, note: str
    ) -> PsaPayment:
        """Raises TryLater(uncertain=True) when the answer was lost: look with `payments` then."""

    def apply_credit(
        self, document_id: str, credit_id: str, amount: Decimal, applied_on: date
    ) -> PsaPayment:
        """Apply a credit memo to a document; refused when the memo has less left."""

    def update_payment(self, payment: PsaPayment, amount: Decimal, paid_on: date) -> PsaPayment: ...

    def delete_payment(self, payment: PsaPayment) -> None: ...

    def balance(self, document_id: str) -> Decimal:
        """The open balance as the PSA computes it now."""

    def mark_posted(self, kind: DocumentKind, external_id: str, identifier: str) -> str:
        """Mark as exported under our identifier, idempotently (looks for the identifier first);
        the batch's id, or "" when the PSA keeps no such mark for it."""

    def unmark_posted(self, batch_id: str) -> None: ...

    def web_address(self, kind: str, external_id: str) -> str: ...


class Consent(Protocol):
    """The OAuth side of an adapter whose manifest says `oauth`."""

    def tenants(self, auth_event_id: str = "") -> tuple[Tenant, ...]:
        """Organisations this token reaches; real ones only (no PRACTICE and the like)."""

    def remove_tenant(self, tenant: Tenant) -> None: ...


AdapterFactory = Callable[..., Any]
Fields = Mapping[str, str]
