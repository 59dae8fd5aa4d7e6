"""What a person asks for: an invoice voided or credited and issued anew, or that this ends."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from psaltery.adapters.errors import BadSettings
from psaltery.audit.actor import actor
from psaltery.kit.clock import now
from psaltery.ledger.models import BillingPayment
from psaltery.posting.attempts import tell
from psaltery.posting.models import Link, Posting, Reissue
from psaltery.posting.reissue import steps
from psaltery.posting.reissue.adopted import as_in_books
from psaltery.posting.reissue.steps import Way
from psaltery.records.drafts import BooksKind


def ask(link: Link, way: Way) -> Reissue:
    """Write down what is to be done; the next job of the organisation begins with it.

    Raises BadSettings for what can't be credited: an invoice that was entered by hand and whose
    lines are not known to the cent; and while it is under way in another way already.
    """
    if link.books_kind != BooksKind.INVOICE:
        raise BadSettings("Only invoices are issued anew; correct it in the books.", which="card")
    if way is not Way.VOID and not link.draft and as_in_books(link) is None:
        sentence = (
            f"{link.number} was not written by Psaltery, and its lines are not known; credit it in "
            "the books."
        )
        raise BadSettings(sentence, which="card")
    with transaction.atomic():
        number = link.number
        if way is Way.CREDIT:
            number = steps.next_number(link.document.number, link.number)
        row, asked = Reissue.objects.select_for_update().get_or_create(
            document=link.document,
            done_at=None,
            defaults={
                "organisation": link.organisation,
                "way": way,
                "old_id": link.books_id,
                "old_number": link.number,
                "number": number,
                "credit_number": "" if way is Way.VOID else steps.credit_number(link.number),
                "asked_by": actor(),
                "asked_at": now(),
            },
        )
        if not asked:
            _same(row, way)
            return row
        # Later edits are written under the number that it has then.
        Posting.objects.filter(document=link.document).update(books_number=number)
        sentence = f"{link.document.number} is to be {row.get_way_display()}."
        tell(link.organisation, link.document, sentence, "reissue.ask")
    return row


def _same(row: Reissue, way: Way) -> None:
    """Another way from the middle of one would credit an invoice and void it as well."""
    if row.way != way:
        raise BadSettings(
            f"{row.document.number} is being {row.get_way_display()} already; end that first.",
            which="card",
        )


def end(link: Link) -> None:
    """Go no further; what was done so far stays in the books. Must run inside a transaction."""
    ended = Reissue.objects.filter(document=link.document, done_at=None).update(done_at=now())
    if ended:
        Posting.objects.filter(document=link.document).update(books_number=link.number)
        sentence = f"{link.document.number}: the re-issue was ended by a person."
        tell(link.organisation, link.document, sentence, "reissue.end")


# The mirror is read right afterwards; should it never show the money, matching goes on with it.
UNSEEN = timedelta(days=1)


def moving(moment: datetime) -> QuerySet[Reissue]:
    """Documents (`document_id`) whose money is on its way from one invoice to another: what the
    mirror says of their payments is not the whole."""
    seen = BillingPayment.objects.filter(
        organisation=OuterRef("organisation"),
        invoice_external_id=OuterRef("new_id"),
        touch_external_id=OuterRef("credit_id"),
    )
    unseen = Q(done_at__gte=moment - UNSEEN, moved__gt=0) & ~Exists(seen)
    return Reissue.objects.filter(Q(done_at=None) | unseen)
