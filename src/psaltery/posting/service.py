"""What a person decides about documents themselves: to leave one out, or to take it up again."""

from collections.abc import Iterable

from django.db import transaction

from psaltery.audit.service import record_change
from psaltery.desk.models import Document
from psaltery.kit.clock import now
from psaltery.posting.models import Link, Posting, Reissue
from psaltery.posting.reissue import service as reissues
from psaltery.review.service import release

# A document that is being sent, or may have arrived, can't be left out any more.
SKIPPABLE = (Posting.State.WAITING, Posting.State.HELD, Posting.State.FAILED)


def skip(documents: Iterable[int], by: str) -> int:
    """Leave these documents out until a person takes them up again; how many it were.

    They leave the cards that held them. What is posted already stays in the books.
    """
    with transaction.atomic():
        rows = Posting.objects.select_for_update(of=("self",)).filter(
            pk__in=list(documents), state__in=SKIPPABLE
        )
        ids = list(rows.values_list("pk", flat=True))
        why = f"Skipped by {by}."
        Posting.objects.filter(pk__in=ids).update(
            state=Posting.State.SKIPPED, skipped_by=by, why=why, changed_at=now()
        )
        release(ids, why)
        # A re-issue that stands still for good would hold the payments back for good.
        under_way = Reissue.objects.filter(document__in=ids, done_at=None).values("document")
        for link in Link.objects.filter(document__in=under_way):
            reissues.end(link)
        _tell(ids, "skipped", "document.skip")
    return len(ids)


def unskip(documents: Iterable[int]) -> list[int]:
    """Take up what a person had skipped; returns the ids, which the caller queues.

    Must run inside a transaction.
    """
    rows = Posting.objects.filter(pk__in=list(documents), state=Posting.State.SKIPPED)
    ids = list(rows.values_list("pk", flat=True))
    Posting.objects.filter(pk__in=ids).update(skipped_by="", changed_at=now())
    _tell(ids, "taken up again", "document.unskip")
    return ids


def _tell(ids: list[int], what: str, operation: str) -> None:
    numbers = list(Document.objects.filter(pk__in=ids).values_list("number", flat=True))
    if numbers:
        shown = ", ".join(numbers[:10]) + (" …" if len(numbers) > 10 else "")
        verb = "was" if len(numbers) == 1 else "were"
        record_change(f"{shown} {verb} {what}.", operation=operation, documents=numbers)
