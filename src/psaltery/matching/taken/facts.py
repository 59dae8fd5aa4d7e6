"""What is known of an invoice in the books when a payment of the PSA is decided about."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from psaltery.adapters.contract import Books
from psaltery.connections.models import Organisation
from psaltery.ledger.models import LedgerAccount
from psaltery.mapping.lookup import Entry, Mappings, payment_keys
from psaltery.mapping.models import Mapping
from psaltery.mapping.service import payment_account_problem
from psaltery.matching.models import PaymentBack, PaymentTaken
from psaltery.matching.taken.credits import CreditFacts
from psaltery.matching.taken.decide import Facts, InBooks
from psaltery.posting.models import Link
from psaltery.records.books import Settlement, Status
from psaltery.records.drafts import BooksKind
from psaltery.records.money import ZERO


def invoice_facts(row: PaymentTaken, payments: Sequence[Settlement], books: Books) -> Facts:
    """The facts for one payment; the books are asked for the invoice itself only if need be."""
    status, due = Status.UNKNOWN, Decimal(0)
    # Its status and due amount matter only to what is still to be entered: one call saved.
    if not row.books_payment_id and not row.gone:
        invoice = books.get_document(BooksKind.INVOICE, row.document.link.books_id)
        if invoice is not None:
            status, due = invoice.status, invoice.amount_due
    account, problem = account_for(row)
    # A payment moves the ledger on its own day, so the locks hold for it as for documents.
    locks = [day for day in (row.organisation.period_lock_on, row.organisation.year_lock_on) if day]
    return Facts(
        books=row.organisation.name,
        status=status,
        due=due,
        payments=_in_books(row, payments),
        account_id=account,
        account_problem=problem,
        method=row.method,
        locked_until=max(locks, default=None),
    )


def _in_books(row: PaymentTaken, payments: Sequence[Settlement]) -> list[InBooks]:
    known = _known(row)
    return [
        InBooks(
            external_id=one.external_id,
            amount=one.amount,
            paid_on=one.paid_on,
            reference=one.reference,
            active=one.state == "active",
            known=one.external_id in known,
        )
        for one in payments
    ]


def _known(row: PaymentTaken) -> set[str]:
    """Payments of the books that stand for another one of the PSA: ours there, or a person's."""
    others = PaymentTaken.objects.filter(document=row.document).exclude(pk=row.pk)
    known = set(others.values_list("books_payment_id", flat=True))
    back = PaymentBack.objects.filter(pk=row.document_id).first()
    # Parts of what we wrote to the PSA are no news from there.
    if back is not None and (back.psa_payment_id or back.payments):
        known |= {str(part["external_id"]) for part in back.parts}
    return known - {""}


def account_for(row: PaymentTaken) -> tuple[str, str]:
    """The account that takes a payment of this method, and what is wrong with it."""
    mappings = _mappings(row.organisation)
    choice = mappings.first("payment", payment_keys(row.method, row.taken_by))
    if choice.entry is None:
        return "", ""
    account = LedgerAccount.objects.filter(
        organisation=row.organisation, external_id=choice.entry.target
    ).first()
    if account is None:
        return "", "The account that was mapped is no longer in the books."
    return account.external_id, payment_account_problem(account)


def _mappings(organisation: Organisation) -> Mappings:
    rows = Mapping.objects.filter(organisation=organisation, list="payment")
    return Mappings((m.list, m.key_kind, m.key, Entry(m.pk, m.version, m.target)) for m in rows)


def credit_facts(row: PaymentTaken, books: Books) -> CreditFacts:
    """Ask the books for both documents and for what lies of the one on the other."""
    link = (
        Link.objects.select_related("organisation")
        .filter(
            document__connection=row.document.connection,
            document__external_id=row.credit_memo,
            books_kind=BooksKind.CREDIT_NOTE,
        )
        .first()
    )
    facts = CreditFacts(books=row.organisation.name, replaced=_replaced(row))
    if link is None:
        return facts
    if link.organisation_id != row.organisation_id:
        return msgspec.structs.replace(facts, elsewhere=link.organisation.name)
    invoice_id = row.document.link.books_id
    note = books.get_document(BooksKind.CREDIT_NOTE, link.books_id)
    invoice = books.get_document(BooksKind.INVOICE, invoice_id)
    active = [one for one in books.touches_of(link.books_id) if one.state == "active"]
    return msgspec.structs.replace(
        facts,
        note_id=link.books_id,
        note_number=link.number,
        note_status=note.status if note else Status.UNKNOWN,
        left=note.amount_due if note else ZERO,
        status=invoice.status if invoice else Status.UNKNOWN,
        due=invoice.amount_due if invoice else ZERO,
        applied=sum((one.amount for one in active if one.invoice_id == invoice_id), ZERO),
    )


def _replaced(row: PaymentTaken) -> bool:
    """Somebody took it off and applied it anew: the PSA has another record of it."""
    others = PaymentTaken.objects.filter(document=row.document, credit_memo=row.credit_memo)
    return others.filter(gone=False).exclude(pk=row.pk).exists()
