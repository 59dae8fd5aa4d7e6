"""Which contact of the books a PSA company is: ids first, then names. Pure; never a guess."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from psaltery.kit.text import comparable_name
from psaltery.records.drafts import ContactDraft
from psaltery.records.psa import Company

Facts = Mapping[str, Any]


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A contact of the books that may be the company."""

    external_id: str
    name: str
    name_key: str
    email: str = ""
    account_number: str = ""
    contact_number: str = ""
    state: str = "active"
    merged_into: str = ""
    linked_to: str = ""  # name of another company that it is already linked to
    currency: str = ""  # in which the books bill it; "" where they don't say


class Match(msgspec.Struct, frozen=True):
    """Sure: this contact, and by what."""

    candidate: Candidate
    how: str


class Unsure(msgspec.Struct, frozen=True):
    """A person must choose. `why` is a code: contact_ambiguous, contact_archived, contact_taken."""

    why: str
    candidates: tuple[Candidate, ...]


def reference(company_external_id: str) -> str:
    """The contact number that we give to contacts we make, to find them again."""
    # Unique in Xero, so that a contact whose answer was lost is found by it and not made twice.
    # https://developer.xero.com/documentation/api/accounting/contacts
    return f"PSA-{company_external_id}"


def choose(company: Company, candidates: Sequence[Candidate]) -> Match | Unsure | None:
    """Match, or what a person must decide, or None when nobody resembles the company.

    By our own contact number, then account number, then name without legal forms. An e-mail
    address alone is only a suggestion: it is not unique (reference/xero.md 9).
    """
    by_number = [c for c in candidates if c.contact_number == reference(company.external_id)]
    by_account = [
        c
        for c in candidates
        if company.account_number and c.account_number == company.account_number
    ]
    key = comparable_name(company.name)
    by_name = [c for c in candidates if key and c.name_key == key]
    # The first kind that finds anything decides: a weaker sign must not outvote a stronger one.
    for how, found in (("number", by_number), ("account", by_account), ("name", by_name)):
        if found:
            return _one(how, found)
    by_email = [c for c in candidates if company.email and _same(c.email, company.email)]
    return Unsure("contact_ambiguous", tuple(by_email)) if by_email else None


_ADDRESS = ("address", "city", "region", "postcode", "country")
FACTS = ("name", "email", "phone", "tax_number", "account_number", *_ADDRESS)


def changes(before: Facts, after: Facts, contact_id: str) -> ContactDraft | None:
    """What of a contact is to be written, now that the PSA's facts are others; None: nothing.

    Only what changed in the PSA: all else may be the bookkeeper's. What was emptied there stays.
    """
    # Compared with what we wrote, not with the books: a bookkeeper's correction is left alone.
    different = {name for name in FACTS if after.get(name) and after[name] != before.get(name)}
    if different & set(_ADDRESS):
        different |= set(_ADDRESS)  # the books replace an address as a whole
    if not different:
        return None
    values: dict[str, Any] = {name: after.get(name) or "" for name in different}
    values["address"] = tuple(values.get("address", ()))
    return ContactDraft(**{"name": "", **values, "external_id": contact_id})


def _one(how: str, found: list[Candidate]) -> Match | Unsure:
    # A contact may be two companies, but only a person says so.
    free = [c for c in found if not c.linked_to]
    if not free:
        return Unsure("contact_taken", tuple(found))
    active = [c for c in free if c.state == "active"]
    if len(active) == 1:
        return Match(active[0], how)
    if not active and len(free) == 1:
        return Unsure("contact_archived", tuple(free))
    return Unsure("contact_ambiguous", tuple(free))


def _same(left: str, right: str) -> bool:
    return left.strip().casefold() == right.strip().casefold()
