"""Which invoices go as drafts, so that somebody looks at them before they count. Pure."""

from psaltery.posting.kinds import kind_of
from psaltery.posting.situation import Situation
from psaltery.records.books import Status
from psaltery.records.drafts import BooksKind

SETTING = "the organisation's setting"


def usual_status(situation: Situation) -> tuple[Status, str]:
    """What an invoice or a credit note becomes, and why, in words."""
    policy, link = situation.book.policy, situation.link
    gated = policy.draft_first or policy.draft_above is not None
    if kind_of(situation) is not BooksKind.INVOICE or not gated:
        return policy.status, SETTING
    # One that went as a draft is not approved by an edit: whoever is to look has not looked yet.
    if link is not None and link.posted is not None:
        return link.posted.status, "as it was posted"
    if policy.draft_first and situation.first:
        return Status.DRAFT, "the customer's first invoice"
    if policy.draft_above is not None and situation.document.total > policy.draft_above:
        return Status.DRAFT, f"more than {policy.draft_above:,.2f}"
    return policy.status, SETTING
