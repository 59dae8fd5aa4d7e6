"""Contacts that were merged in the books: it is the same customer, and no document has changed."""

import msgspec

from psaltery.connections.models import Organisation
from psaltery.ledger.models import Customer
from psaltery.posting.models import Link
from psaltery.records.drafts import Draft
from psaltery.review.models import Blocked, Card


def follow(organisation: Organisation, draft: Draft, contact_id: str) -> Draft:
    """What we wrote, with the contact that ours was merged into when that is this one."""
    if draft.contact_id == contact_id or contact_id not in _ends(organisation, draft.contact_id):
        return draft
    return msgspec.structs.replace(draft, contact_id=contact_id)


def _ends(organisation: Organisation, contact_id: str) -> set[str]:
    """Every contact that this one was merged into, one after the other."""
    merged = Customer.objects.filter(organisation=organisation).exclude(merged_into="")
    seen: set[str] = set()
    # Two that point at each other end it too.
    while contact_id and contact_id not in seen:
        seen.add(contact_id)
        rows = merged.filter(external_id=contact_id).values_list("merged_into", flat=True)
        contact_id = rows.first() or ""
    return seen | {contact_id}


def drifting(organisation: Organisation) -> list[str]:
    """The documents of the books that are told as changed: to be looked at once more after contacts
    were read, since some may have been merged."""
    live = (Card.State.OPEN, Card.State.SNOOZED)
    told = Blocked.objects.filter(
        card__organisation=organisation, card__topic="drift", card__state__in=live
    )
    links = Link.objects.filter(document__in=told.values("document"))
    return list(links.values_list("books_id", flat=True))
