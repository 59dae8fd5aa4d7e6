"""Ties out: compares, explains, stores the result, and opens or closes its card."""

import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Sum
from django.db.models.functions import Abs

from psaltery.audit.service import Decision, Source, record_decision
from psaltery.connections.models import Organisation
from psaltery.kit.clock import now
from psaltery.matching.models import TieOut, TieOutCustomer, TieOutDocument
from psaltery.matching.tieout import gather
from psaltery.matching.tieout.decide import BooksSide, Explained, Pair, PsaSide, explain
from psaltery.matching.tieout.freshness import Freshness, freshness
from psaltery.matching.tieout.settled import SettledFacts
from psaltery.records.money import ZERO
from psaltery.review.models import Blocked, Card
from psaltery.review.reasons import Reason
from psaltery.review.service import close_cause, open_card

CODE = "tieout_unexplained"
NOWHERE = "Documents without an organisation"
# The details of older runs go; their sums stay.
KEEP_DETAILS = timedelta(days=31)
_State = TieOut.State
Row = dict[str, Any]


def tie_out(organisation: Organisation | None, asked_by: str) -> TieOut:
    """Compare the receivables of both sides as the mirrors have them now; the stored result.

    An organisation of None: the PSA's documents that no rule sends anywhere. Both sides are read in
    one snapshot. An unexplained difference opens a card; a clean, fresh result closes it.
    """
    began = time.monotonic()
    with transaction.atomic():
        _one_snapshot()
        row = _compare(organisation, asked_by)
        row.took_ms = round((time.monotonic() - began) * 1000)
        row.save()
    # After the snapshot: within it a card that another process opens could not be seen.
    _tell(row)
    _forget(row)
    return row


def _one_snapshot() -> None:
    with connection.cursor() as cursor:
        # Otherwise money read between two of the queries would stand on one side only.
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


def _compare(organisation: Organisation | None, asked_by: str) -> TieOut:
    moment = now()
    fresh = freshness(organisation, moment)
    row = TieOut.objects.create(
        organisation=organisation,
        at=moment,
        asked_by=asked_by,
        state=_State.NOT_CHECKED,
        psa_as_of=fresh.psa_as_of,
        books_as_of=fresh.books_as_of,
        stale=list(fresh.stale),
    )
    gather.lay_out(organisation)
    gather.sum_up(row.pk)
    for rows in gather.differing():
        _explain(row, rows, fresh)
    gather.subtract(row.pk)
    row.sums = _sums(row)
    row.state = _verdict(row)
    return row


def _explain(tieout: TieOut, rows: Sequence[Row], fresh: Freshness) -> None:
    facts = SettledFacts(tieout.organisation, rows, fresh) if tieout.organisation else None
    cards = _cards(row["document"] for row in rows if row["document"])
    found = [
        _document(tieout, row, part, cards)
        for row in rows
        for part in explain(_pair(row, facts, fresh))
    ]
    TieOutDocument.objects.bulk_create(found)


def _pair(row: Row, facts: SettledFacts | None, fresh: Freshness) -> Pair:
    read = fresh.books_as_of
    return Pair(
        psa=_psa(row) if row["document"] else None,
        books=_books(row) if row["status"] is not None else None,
        linked=row["linked"],
        read_since=bool(row["linked_at"] and read and read > row["linked_at"]),
        **({"settled": facts.of(row)} if facts else {}),
    )


def _psa(row: Row) -> PsaSide:
    return PsaSide(
        number=row["psa_number"],
        kind=row["psa_kind"],
        customer=row["psa_customer"],
        currency=row["psa_currency"],
        total=row["psa_total"],
        balance=row["balance"],
        closed=row["closed"],
        gone=row["gone"],
        state=row["state"],
        why=row["why"],
    )


def _books(row: Row) -> BooksSide:
    return BooksSide(
        number=row["books_number"],
        kind=row["books_kind"],
        customer=row["books_customer"],
        currency=row["books_currency"],
        status=row["status"],
        total=row["books_total"],
        due=row["due"],
    )


def _cards(documents: Iterable[int]) -> dict[int, int]:
    """Document → an open card that holds it."""
    blocked = Blocked.objects.filter(document_id__in=list(documents))
    live = blocked.exclude(card__state=Card.State.RESOLVED)
    return dict(live.order_by("-card_id").values_list("document_id", "card_id"))


def _document(tieout: TieOut, row: Row, part: Explained, cards: dict[int, int]) -> TieOutDocument:
    in_psa = part.customer == row["psa_customer"] and part.currency == row["psa_currency"]
    return TieOutDocument(
        tieout=tieout,
        customer=part.customer,
        name=row["psa_name"] if in_psa else row["books_name"],
        currency=part.currency,
        cause=part.cause,
        amount=part.amount,
        number=row["psa_number"] or row["books_number"] or "",
        sentence=part.sentence,
        document_id=row["document"],
        card_id=cards.get(row["document"] or 0),
        books_kind=row["books_kind"],
        books_id=row["books_id"],
    )


def _sums(row: TieOut) -> list[dict[str, Any]]:
    """One entry a currency, as text: JSON knows no Decimal."""
    grouped = TieOutCustomer.objects.filter(tieout=row).values("currency").order_by("currency")
    # What is too much on one customer does not make up for what lacks on another.
    found = grouped.annotate(
        customers=Count("pk"),
        papers=Sum("documents"),
        off=Sum(Abs("unexplained")),
        in_psa=Sum("psa"),
        in_books=Sum("books"),
        apart=Sum("difference"),
    )
    return [
        {
            "currency": one["currency"],
            "psa": str(one["in_psa"]),
            "books": str(one["in_books"]),
            "difference": str(one["apart"]),
            "unexplained": str(one["off"]),
            "customers": one["customers"],
            "documents": one["papers"],
        }
        for one in found
    ]


def _verdict(row: TieOut) -> TieOut.State:
    # An old mirror proves nothing: neither that it ties out nor that it does not.
    if row.stale:
        return _State.NOT_CHECKED
    off = TieOutCustomer.objects.filter(tieout=row).exclude(unexplained=ZERO)
    return _State.UNEXPLAINED if off.exists() else _State.TIES


def unexplained(row: TieOut) -> list[tuple[str, Decimal]]:
    """What remains unexplained, by currency, without the zeros."""
    found = [(one["currency"], Decimal(one["unexplained"])) for one in row.sums]
    return [(currency, amount) for currency, amount in found if amount]


def _tell(row: TieOut) -> None:
    organisation, name = row.organisation, str(row.organisation or NOWHERE)
    about = f"tieout:{organisation.pk if organisation else 0}"
    if row.state == _State.UNEXPLAINED:
        open_card(organisation, _reason(row, name, about))
    # Not when it was not checked: silence must not close what is still open.
    elif row.state == _State.TIES:
        close_cause(organisation, CODE, about, "Every cent of difference is explained again.")
    source = Source(organisation_id=organisation.pk if organisation else None, organisation=name)
    failed = row.state == _State.UNEXPLAINED
    decision = Decision(sentence=sentence(row), operation="tieout", failed=failed)
    record_decision(source, decision)


def _reason(row: TieOut, name: str, about: str) -> Reason:
    rows = TieOutCustomer.objects.filter(tieout=row).exclude(unexplained=ZERO)
    names = list(rows.order_by("name").values_list("name", flat=True)[:20])
    details = {"tieout": row.pk, "customers": names, "money": _money(unexplained(row))}
    return Reason(code=CODE, about=about, subject=name, sentence=sentence(row), details=details)


def sentence(row: TieOut) -> str:
    """The result in one sentence."""
    name = str(row.organisation or NOWHERE)
    if row.state == _State.NOT_CHECKED:
        return f"{name}: the tie-out says nothing yet: {' '.join(row.stale)}"
    if row.state == _State.UNEXPLAINED:
        return f"{name}: {_money(unexplained(row))} between the PSA and the books is unexplained."
    differences = [(one["currency"], Decimal(one["difference"])) for one in row.sums]
    found = _money([(currency, amount) for currency, amount in differences if amount])
    return f"{name} ties out: " + (f"all of {found} is explained." if found else "no difference.")


def _money(sums: Iterable[tuple[str, Decimal]]) -> str:
    return ", ".join(f"{amount:,.2f} {currency}".strip() for currency, amount in sums)


def _forget(row: TieOut) -> None:
    """Old details go, in the same organisation, and those that a run of the same day replaced."""
    before: datetime = row.at - KEEP_DETAILS
    others = TieOut.objects.filter(organisation=row.organisation).exclude(pk=row.pk)
    old = others.filter(at__lt=before) | others.filter(at__date=row.at.date())
    for model in (TieOutDocument, TieOutCustomer):
        model.objects.filter(tieout__in=old.values("pk")).delete()


def latest(organisation: Organisation | None) -> TieOut | None:
    """The last tie-out of these books."""
    rows = TieOut.objects.filter(organisation=organisation).select_related("organisation")
    return rows.order_by("-at").first()


def due_organisations() -> list[Organisation | None]:
    """What a tie-out of everything compares: each set of books in use, and what has none."""
    books = Organisation.objects.filter(chosen=True).exclude(base_currency="")
    return [*books.order_by("name"), None]
