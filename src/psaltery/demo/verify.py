"""Whether the demo's history ended as it must, judged by what both sandboxes have themselves."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx2
import msgspec

from psaltery.adapters.sandboxing import decode
from psaltery.connections.models import Organisation
from psaltery.demo import ties
from psaltery.demo.faults import HELD, IN_STEP, SKIPPED, Fault
from psaltery.demo.stage import Stage
from psaltery.demo.world import WorldPage
from psaltery.matching.models import PaymentTaken
from psaltery.posting.models import Item, Link, Posting
from psaltery.posting.policy import posted_kinds, read_policy
from psaltery.records.psa import PURCHASES, DocumentKind
from psaltery.review.models import Blocked, Card

Wire = dict[str, Any]
_GONE = ("VOIDED", "DELETED")
_RECEIVABLE = ("ACCREC", "RECEIVE")


class Report(msgspec.Struct):
    """What was looked at, and every sentence that should not be there."""

    counts: dict[str, int] = msgspec.field(default_factory=dict)
    problems: list[str] = msgspec.field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.problems

    def lines(self) -> Iterator[str]:
        """For people."""
        for what, count in self.counts.items():
            yield f"{count:>5}  {what}"
        for problem in self.problems:
            yield f"    ✗  {problem}"
        yield "Everything ended as it must." if self.ok else f"{len(self.problems)} problems."


class Both:
    """All documents of both sandboxes, by number and id."""

    def __init__(self, stage: Stage) -> None:
        self.psa = {str(row["id"]): row for row in _documents(stage.psa_url, "invoices")}
        self.books: dict[str, list[Wire]] = {}
        self.by_id: dict[str, Wire] = {}
        self.open: dict[str, list[Wire]] = {}
        for organisation in Organisation.objects.filter(connection__kind="xero", chosen=True):
            tenant = organisation.external_id
            self.books[tenant] = _documents(stage.books_url, f"{tenant}/Invoices")
            notes = _documents(stage.books_url, f"{tenant}/CreditNotes")
            orders = _documents(stage.books_url, f"{tenant}/PurchaseOrders")
            self.by_id |= {row["PurchaseOrderID"]: row for row in orders}
            self.by_id |= {row["CreditNoteID"]: row for row in notes}
            self.open[tenant] = [
                row
                for row in (*self.books[tenant], *notes, *_received(stage, tenant))
                if row["Type"].startswith(_RECEIVABLE)
            ]
        self.by_id |= {row["InvoiceID"]: row for rows in self.books.values() for row in rows}


def _received(stage: Stage, tenant: str) -> list[Wire]:
    """Overpayments and prepayments."""
    kinds = ("Overpayments", "Prepayments")
    return [row for kind in kinds for row in _documents(stage.books_url, f"{tenant}/{kind}")]


def _documents(url: str, collection: str) -> list[Wire]:
    answer = httpx2.get(f"{url}/_control/documents/{collection}", timeout=60)
    found: list[Wire] = decode(answer.raise_for_status().content)
    return found


def verify(stage: Stage, page: WorldPage) -> Report:
    """Look at everything. Nothing must be under way meanwhile."""
    # The sandboxes are asked, not the mirrors: the mirrors are what is on trial.
    report, both = Report(), Both(stage)
    links = list(Link.objects.select_related("document", "organisation"))
    report.counts["invoices and credit memos in the PSA"] = len(both.psa)
    report.counts["linked to a document of the books, to the cent"] = len(links)
    for link in links:
        purchase = link.document.kind in PURCHASES
        report.problems += (_bill_problems if purchase else _link_problems)(link, both)
    bought = [link.document.kind for link in links if link.document.kind in PURCHASES]
    orders = bought.count(DocumentKind.PURCHASE_ORDER)
    report.counts["of these bills, drafts until somebody approves them"] = len(bought) - orders
    report.counts["of these purchase orders that are still to come"] = orders
    report.problems += _double(both)
    report.problems += _taken_problems(page)
    report.counts["payments and credits entered in the PSA, in the books too"] = (
        PaymentTaken.objects.filter(state=IN_STEP).count()
    )
    report.counts["products that are items of the books"] = Item.objects.filter(
        state=Item.State.IN_STEP
    ).count()
    for fault in page.faults:
        report.problems += _fault_problems(fault)
    report.counts["faults, each in its card or its state"] = len(page.faults)
    report.problems += _others_held(page)
    rows = ties.tie_everything()
    report.problems += ties.problems(rows, both.psa.values(), both.open)
    report.counts["documents that make a difference, each explained"] = sum(
        row.documents.count() for row in rows
    )
    report.counts["exceptions open"] = Card.objects.exclude(state="resolved").count()
    return report


def _link_problems(link: Link, both: Both) -> Iterator[str]:
    mine, theirs = both.psa.get(link.document.external_id), both.by_id.get(link.books_id)
    if mine is None or theirs is None:
        yield f"{link.number}: linked, but missing on one side"
        return
    note = "CreditNoteID" in theirs
    # The PSA's credit memos are below zero; credit notes are not.
    sign = -1 if note else 1
    for what, left, right in (
        ("total", mine["total"], theirs["Total"]),
        ("tax", mine["salesTax"], theirs["TotalTax"]),
        ("open balance", mine["balance"], theirs["RemainingCredit" if note else "AmountDue"]),
    ):
        if sign * Decimal(left) != Decimal(right):
            yield f"{link.number}: the {what} is {left} in the PSA and {right} in the books"
    number = theirs["CreditNoteNumber" if note else "InvoiceNumber"]
    if mine["invoiceNumber"] != number:
        yield f"{link.number}: the books call it {number}"


def _bill_problems(link: Link, both: Both) -> Iterator[str]:
    theirs, document = both.by_id.get(link.books_id), link.document
    if theirs is None:
        yield f"{link.number}: linked, but not in the books"
        return
    order = document.kind == DocumentKind.PURCHASE_ORDER
    for what, left, right in (
        ("total", document.total, theirs["Total"]),
        ("tax", document.tax, theirs["TotalTax"]),
        ("number", document.number, theirs["PurchaseOrderNumber" if order else "InvoiceNumber"]),
        ("status", "AUTHORISED" if order else "DRAFT", theirs["Status"]),
    ):
        same = left == right if isinstance(left, str) else left == Decimal(right)
        if not same:
            sides = f"{left} in the PSA and {right} in the books"
            yield f"{document.kind} {link.number}: the {what} is {sides}"


def _taken_problems(page: WorldPage) -> Iterator[str]:
    """Each that was entered in the PSA is in the books, once; that both agree the balances tell."""
    meant = page.settled["cards"] + page.settled["credits"]
    rows = list(PaymentTaken.objects.select_related("document"))
    if len(rows) != meant:
        yield f"{len(rows)} payments were found in the PSA, not {meant}"
    for row in rows:
        if row.state != IN_STEP:
            yield f"payment on {row.document.number}: {row.state}: {row.why}"
    for item in Item.objects.exclude(state=Item.State.IN_STEP):
        yield f"item {item.code}: {item.state}: {item.why}"


def _double(both: Both) -> Iterator[str]:
    for rows in both.books.values():
        bills = [row for row in rows if row["Type"] == "ACCPAY" and row["Status"] not in _GONE]
        # By supplier and number: two vendors may give their bills one number, and Xero allows it.
        same = Counter((row["Contact"]["ContactID"], row["InvoiceNumber"]) for row in bills)
        for (_, number), count in same.items():
            if count > 1:
                yield f"bill {number} is in the books {count} times"
        live = [row for row in rows if row["Type"] == "ACCREC" and row["Status"] not in _GONE]
        for number, count in Counter(row["InvoiceNumber"] for row in live).items():
            if count > 1:
                yield f"{number} is in the books {count} times"


def _fault_problems(fault: Fault) -> Iterator[str]:
    for number in fault.numbers:
        posting = Posting.objects.select_related("document").filter(document__number=number).first()
        if posting is None:
            yield f"{fault.name}: {number} was never read"
        elif posting.state != fault.state:
            yield f"{fault.name}: {number} is {posting.state}, not {fault.state}: {posting.why}"
        elif fault.state == HELD:
            yield from _card_problems(fault, posting)


def _card_problems(fault: Fault, posting: Posting) -> Iterator[str]:
    document = posting.document
    blocked = Blocked.objects.filter(document=document).exclude(card__state="resolved")
    codes = set(blocked.values_list("card__code", flat=True))
    # Exactly this card: another cause in the way would hide that the meant one was missed.
    if codes != {fault.code}:
        yield f"{fault.name}: {document.number} is on the cards {sorted(codes)}, not {fault.code}"
    for row in blocked:
        if row.amount != document.total or row.currency != document.currency:
            yield f"{fault.name}: the card says {row.amount}, the document {document.total}"
    names = set(blocked.values_list("card__organisation__name", flat=True))
    if names != {fault.organisation or None}:
        yield f"{fault.name}: {document.number} is on a card of {names}"


def _others_held(page: WorldPage) -> Iterator[str]:
    """Nothing is held, waiting or skipped but what was meant to be."""
    meant = {number: fault.state for fault in page.faults for number in fault.numbers}
    for posting in Posting.objects.select_related("document", "organisation"):
        document, organisation = posting.document, posting.organisation
        kinds = posted_kinds(read_policy(organisation.settings if organisation else {}))
        # An order of which all had come before anybody looked: its bill stands for it.
        received = document.kind == DocumentKind.PURCHASE_ORDER and not document.balance
        usual = IN_STEP if document.kind in kinds and not received else SKIPPED
        if posting.state != meant.get(document.number, usual):
            yield f"{document.kind} {document.number} is {posting.state}: {posting.why}"
