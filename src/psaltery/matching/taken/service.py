"""Which documents' payments are to be read from the PSA. Cheap writes, inside the caller's
transaction."""

from collections.abc import Iterable
from decimal import Decimal

from django.db.models import DecimalField, F, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from psaltery.audit.service import record_change
from psaltery.connections.models import Connection, Organisation
from psaltery.kit.clock import now
from psaltery.matching.models import PaymentBack, PaymentsToRead, PaymentTaken
from psaltery.posting.models import Link
from psaltery.posting.policy import read_policy
from psaltery.records.drafts import BooksKind

_MONEY = DecimalField(max_digits=19, decimal_places=4)
_ZERO = Value(Decimal(0), output_field=_MONEY)
_State = PaymentTaken.State
# What waits for a person or for the books; the others are where they should be.
OPEN = (_State.WAITING, _State.WRITING, _State.UNCERTAIN, _State.HELD)


def reference(row: PaymentTaken) -> str:
    """What the payment in the books is known by."""
    return f"PSA payment {row.psa_payment_id}"


def wanted(organisation: Organisation) -> bool:
    """Whether payments that are entered in the PSA go to this organisation."""
    return read_policy(organisation.settings).psa_payments


def psa_changed(connection: Connection, document_ids: Iterable[int]) -> set[int]:
    """Documents were read with other content: those whose payments may be news are to be read.

    Returns the organisations that have something to do.
    """
    # Most installations never switch it on; their pages pay one cheap query for it.
    if not Organisation.objects.filter(settings__psa_payments=True).exists():
        return set()
    links = Link.objects.filter(
        document_id__in=list(document_ids),
        document__connection=connection,
        books_kind=BooksKind.INVOICE,
    )
    # Also where the sums agree: of two payments one may have gone and another come.
    followed = links.filter(document__payments_taken__isnull=False)
    return _ask({*_unknown(links), *_documents(followed)})


def books_changed(organisation: Organisation, invoice_ids: Iterable[str]) -> set[int]:
    """Money on these invoices of the books changed. Before it is written to the PSA, what the PSA
    has of its own is read, or both would be entered on both sides."""
    links = Link.objects.filter(
        organisation=organisation,
        books_kind=BooksKind.INVOICE,
        books_id__among=list(invoice_ids),
    )
    return _ask(_documents(links)) if wanted(organisation) else set()


def switched_on(organisation: Organisation) -> None:
    """From now on payments of the PSA are wanted: those there already are read."""
    links = Link.objects.filter(organisation=organisation, books_kind=BooksKind.INVOICE)
    _ask(_unknown(links))


def linked(organisation: Organisation, document_ids: Iterable[int]) -> bool:
    """Documents were linked: somebody may have taken money for them in the PSA before."""
    if not wanted(organisation):
        return False
    links = Link.objects.filter(organisation=organisation, document_id__in=list(document_ids))
    woken = _memos_linked(organisation, links.filter(books_kind=BooksKind.CREDIT_NOTE))
    asked = _ask(_unknown(links.filter(books_kind=BooksKind.INVOICE)))
    return woken or bool(asked)


def _memos_linked(organisation: Organisation, notes: QuerySet[Link]) -> bool:
    """Credit memos came to the books: what was applied of them in the PSA has waited for that."""
    memos = list(notes.values_list("document__external_id", flat=True))
    # Nearly always there is none, and it costs no write.
    rows = PaymentTaken.objects.filter(
        organisation=organisation, state=_State.HELD, credit_memo__in=memos
    )
    return bool(memos) and bool(rows.update(state=_State.WAITING, changed_at=now()))


def _documents(links: QuerySet[Link]) -> set[int]:
    return set(links.values_list("document_id", flat=True))


def _unknown(links: QuerySet[Link]) -> set[int]:
    """Documents whose payments or credits in the PSA are not all known."""
    return _documents(_unexplained(links)) | _with_unknown_credits(links)


def _with_unknown_credits(links: QuerySet[Link]) -> set[int]:
    """Those on which more or less credit was applied in the PSA than we know of."""
    # Few have any: looked at one by one, since ours are kept as a list.
    some = links.exclude(document__credits=0).select_related("document")
    taken: dict[int, dict[str, Decimal]] = {}
    rows = PaymentTaken.objects.filter(document__in=some.values("document"), gone=False)
    for row in rows.exclude(credit_memo=""):
        taken.setdefault(row.document_id, {})[row.psa_payment_id] = row.amount
    return {
        link.document_id
        for link in some
        if _credits_known(link, taken.get(link.document_id, {})) != link.document.credits
    }


def _credits_known(link: Link, taken: dict[str, Decimal]) -> Decimal:
    back = PaymentBack.objects.filter(pk=link.document_id).first()
    # By the record in the PSA: a person's that the books have too is in both lists.
    ours = {one["payment_id"]: Decimal(one["amount"]) for one in back.credits} if back else {}
    return sum({**taken, **ours}.values(), Decimal(0))


def _unexplained(links: QuerySet[Link]) -> QuerySet[Link]:
    """Those whose payments in the PSA are not all known: ours, and those taken over already."""
    taken = (
        PaymentTaken.objects.filter(document=OuterRef("document"), gone=False, credit_memo="")
        .order_by()
        .values("document")
        .annotate(sum=Sum("amount"))
        .values("sum")
    )
    return links.annotate(
        known=Coalesce(F("document__payment_back__amount"), _ZERO)
        + Coalesce(Subquery(taken, output_field=_MONEY), _ZERO)
    ).exclude(document__payments=F("known"))


def _ask(documents: set[int]) -> set[int]:
    found = Link.objects.filter(document__in=documents).select_related("organisation")
    rows = [link for link in found if wanted(link.organisation)]
    moment = now()
    PaymentsToRead.objects.bulk_create(
        [
            PaymentsToRead(
                document_id=link.document_id, organisation_id=link.organisation_id, asked_at=moment
            )
            for link in rows
        ],
        # The newest moment wins, so that a read under way does not strike out this request.
        update_conflicts=True,
        unique_fields=["document"],
        update_fields=["asked_at", "organisation"],
    )
    return {link.organisation_id for link in rows}


def again(documents: Iterable[int]) -> set[int]:
    """Decide again about what is held of these documents; returns their organisations."""
    rows = PaymentTaken.objects.filter(document__in=list(documents), state=_State.HELD)
    organisations = set(rows.values_list("organisation_id", flat=True))
    rows.update(state=_State.WAITING, changed_at=now())
    return organisations


def reconsider(organisation: Organisation) -> bool:
    """Accounts, locks or mappings changed: decide again about all that is held."""
    rows = PaymentTaken.objects.filter(organisation=organisation, state=_State.HELD)
    return bool(rows.update(state=_State.WAITING, changed_at=now()))


def answer(documents: Iterable[int], sentence: str, **values: object) -> None:
    """A person said what the held payments of these documents are."""
    PaymentTaken.objects.filter(document__in=list(documents), state=_State.HELD).update(**values)
    record_change(sentence, operation="payment.taken")
