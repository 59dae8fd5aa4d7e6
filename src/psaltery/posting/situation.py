"""All that a decision knows: gathered in bulk by plan.py, judged by decide.py. Plain data."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from psaltery.mapping.contacts import Candidate
from psaltery.mapping.lookup import Mappings
from psaltery.mapping.products import item_code
from psaltery.posting.policy import Policy
from psaltery.records.books import Status
from psaltery.records.drafts import Draft
from psaltery.records.psa import Company, Document


class AccountFact(msgspec.Struct, frozen=True):
    code: str
    name: str
    account_class: str
    active: bool
    system: str = ""


class TaxFact(msgspec.Struct, frozen=True):
    tax_type: str
    name: str
    rate: Decimal
    active: bool
    classes: tuple[str, ...] = ()


class OptionFact(msgspec.Struct, frozen=True):
    external_id: str
    name: str
    category_id: str
    category: str
    active: bool


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """One organisation, as decisions need it."""

    id: int
    name: str
    base_currency: str
    currencies: frozenset[str]
    accounts: Mapping[str, AccountFact]
    tax_rates: Mapping[str, TaxFact]
    options: Mapping[str, OptionFact]
    mappings: Mappings
    policy: Policy
    locked_until: date | None = None
    items: Mapping[str, str] = {}  # the item's code of products for which a person has chosen it

    def item_of(self, product: str) -> str:
        """The code that a product has among the items of the books."""
        return self.items.get(product) or item_code(product)


class Linked(msgspec.Struct, frozen=True, kw_only=True):
    """The document in the books that this one already is."""

    books_id: str
    kind: str = ""  # a BooksKind
    number: str = ""  # in the books
    fingerprint: str  # of the PSA document as it was posted
    status: Status
    has_money: bool  # payments or credits are applied to it
    total: Decimal
    tax: Decimal
    revert: bool = False  # a person wants our version written again
    posted: Draft | None = None  # what we wrote; None when it was adopted

    def as_posted(self) -> tuple[str, str]:
        """Its kind and number in the books; an adopted one was written by somebody else."""
        posted = self.posted
        return (posted.kind, posted.number) if posted else (self.kind, self.number)


class Twin(msgspec.Struct, frozen=True, kw_only=True):
    """Another receipt in the PSA that carries the same invoice number of the same vendor."""

    name: str  # its purchase order, and where it stands
    posted: bool


class Existing(msgspec.Struct, frozen=True, kw_only=True):
    """A document of the same number in the books, not linked to anything."""

    books_id: str
    number: str
    contact_id: str
    contact_name: str
    total: Decimal
    tax: Decimal
    currency: str
    status: Status
    issued_on: date | None = None
    url: str = ""  # the deep link that it carries


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """One document and everything around it."""

    document_id: int
    document: Document
    fingerprint: str
    gone: bool
    book: Book
    company: Company | None
    contact: Candidate | None  # the linked contact as the mirror has it
    contact_link_id: str = ""  # the linked contact's id, even if the mirror lacks it
    candidates: tuple[Candidate, ...] = ()  # who else might be the company
    link: Linked | None = None
    existing: Existing | None = None
    books_number: str = ""  # chosen by a person where the PSA's number is taken
    source_url: str = ""  # deep link to the document in the PSA
    twin: Twin | None = None  # bills only
    first: bool = False  # the books have no approved invoice of the contact yet
    billed: bool = False  # purchase orders only: all has come, and its bills are in the books
    waived: frozenset[str] = frozenset()  # codes that a person has let pass for this document
    exported_by_us: bool = False  # the PSA's mark of an export is from an earlier write of ours
    reissue: bool = False  # a person has said that it is written anew, beside the linked one
    route: dict[str, Any] = {}  # the rule that brought it here, for the trace
