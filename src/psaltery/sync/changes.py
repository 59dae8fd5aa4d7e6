"""Repairs of documents that changed, on either side, after they were posted."""

from collections.abc import Callable, Mapping

from django.db import transaction

from psaltery.adapters.errors import BadSettings
from psaltery.audit.service import record_change
from psaltery.desk.models import Document
from psaltery.mapping.lookup import list_for
from psaltery.mapping.service import set_mapping, source
from psaltery.posting import watch
from psaltery.posting.models import Link, Posting
from psaltery.posting.reissue import service as reissues
from psaltery.posting.reissue.steps import Way
from psaltery.records.psa import DocumentKind
from psaltery.review.models import Card
from psaltery.review.service import release

Answers = Mapping[str, str]


def document_of(card: Card) -> Document:
    blocked = card.blocked.select_related("document").first()
    if blocked is None:
        raise BadSettings("This exception blocks nothing any more.", which="card")
    return blocked.document


def link_of(card: Card) -> Link:
    link = (
        Link.objects.filter(document=document_of(card))
        .select_related("document__posting", "organisation__connection")
        .first()
    )
    if link is None:
        raise BadSettings("The document is not linked any more.", which="card")
    return link


def accept_books(card: Card, answers: Answers) -> str:
    document = document_of(card)
    link = link_of(card)
    # The link now stands for this version of the document; else the next read opens the card again.
    Link.objects.filter(pk=link.pk).update(fingerprint=document.fingerprint)
    how = f"The books stay as they are for {document.number}"
    # The same change may be told as drift too: it is accepted with it.
    drift = Card.objects.filter(blocked__document=document, topic=watch.TOPIC)
    for other in [card, *drift.exclude(state=Card.State.RESOLVED)]:
        if "differences" in other.details:
            watch.accept(link, other.details["differences"])
    if card.topic != watch.TOPIC:
        release([document.pk], how, topic=watch.TOPIC)
    return how


def accept_drift(card: Card, answers: Answers) -> str:
    link = link_of(card)
    watch.accept(link, card.details.get("differences", []))
    return f"The books' version of {link.number} was accepted"


def revert_drift(card: Card, answers: Answers) -> str:
    link = link_of(card)
    watch.revert(link)
    return f"The PSA's version of {link.number} is written again"


def make_rule(card: Card, answers: Answers) -> str:
    """Accounts and tax rates that somebody chose in the books become the mapping."""
    link = link_of(card)
    trace = link.document.posting.trace.get("lines", [])
    made = []
    for one in card.details.get("differences", []):
        list_ = {"account": "account", "tax rate": "tax"}.get(one["field"])
        place = int(one["line"]) - 1
        # A line that somebody added in the books came from no mapping: no rule can be made of it.
        if list_ is None or not 0 <= place < len(trace):
            continue
        key = trace[place][list_]
        mapped = list_for(list_, DocumentKind(link.document.kind))
        row = set_mapping(link.organisation, mapped, key["key_kind"], key["key"], one["theirs"])
        made.append(f"{key['key'] or key['key_kind']} → {row.target}")
    if not made:
        raise BadSettings("Only accounts and tax rates of lines can become a rule.", which="card")
    accept_drift(card, answers)
    return f"It is the rule now: {', '.join(sorted(set(made)))}"


def repost(card: Card, answers: Answers) -> str:
    document = document_of(card)
    link = Link.objects.filter(document=document).first()
    if link is not None:
        with transaction.atomic():
            # Nothing else remembers the old document of the books once the link is gone.
            record_change(
                f"The link of {document.number} to {link.books_id} was removed, to post it again.",
                source=source(link.organisation),
                operation="link.remove",
            )
            link.delete()
    how = f"{document.number} is posted again"
    if card.topic != watch.TOPIC:
        release([document.pk], how, topic=watch.TOPIC)
    return how


def anew(way: Way) -> Callable[[Card, Answers], str]:
    def act(card: Card, answers: Answers) -> str:
        row = reissues.ask(link_of(card), way)
        return f"{row.document.number} is to be {row.get_way_display()}"

    return act


def end_reissue(card: Card, answers: Answers) -> str:
    with transaction.atomic():
        reissues.end(link_of(card))
    return "It goes no further; what was done stays in the books"


def next_day(card: Card, answers: Answers) -> str:
    """All that the lock holds now goes on the first open day; the organisation's policy stays."""
    rows = Posting.objects.filter(document__in=card.blocked.values("document"))
    count = 0
    for posting in rows:
        # For these documents only: the next ones that meet a lock are asked about again.
        posting.waived = sorted({*posting.waived, card.code})
        posting.save(update_fields=["waived"])
        count += 1
    what = "1 document goes" if count == 1 else f"{count} documents go"
    return f"{what} on the first open day"
