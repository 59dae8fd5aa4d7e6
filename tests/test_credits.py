"""Credit memos become credit notes, and what the books allocate is applied in the PSA."""

from decimal import Decimal

import pytest

from psaltery.posting.models import Link, Posting
from psaltery.testing.rig import Rig

pytestmark = pytest.mark.django_db(transaction=True)


def close(rig: Rig, price: str, **changes):
    lines = [{"kind": "product", "description": "Switch", "quantity": "1", "price": price}]
    given = {"company": 1, "location": "Sydney", "tax_code": "GST", "lines": lines, **changes}
    return rig.close_invoice(**given)


def links():
    found = {link.books_kind: link for link in Link.objects.select_related("document")}
    assert set(found) == {"invoice", "credit_note"}, list(Posting.objects.values("state", "why"))
    return found["invoice"], found["credit_note"]


def allocate(rig: Rig, credit: Link, invoice: Link, amount: Decimal):
    body = {
        "Allocations": [
            {
                "Invoice": {"InvoiceID": invoice.books_id},
                "Amount": str(amount),
                "Date": str(invoice.document.issued_on),
            }
        ]
    }
    path = f"CreditNotes/{credit.books_id}/Allocations"
    return rig.write_books(credit.organisation, path, body)["Allocations"][0]


def balance(rig: Rig, link: Link) -> Decimal:
    return Decimal(str(rig.psa_invoice(link.document)["balance"]))


def test_a_credit_memo_is_posted_to_the_cent_and_its_allocation_comes_back(rig: Rig):
    close(rig, "200.00")
    close(rig, "50.05", type="CreditMemo")
    rig.sync()
    invoice, credit = links()
    note = rig.in_books(credit.organisation, f"CreditNotes/{credit.books_id}")["CreditNotes"][0]
    assert note["Type"] == "ACCRECCREDIT"
    assert note["CreditNoteNumber"] == credit.document.number
    assert Decimal(note["Total"]) == credit.document.total == Decimal("55.06")
    allocate(rig, credit, invoice, Decimal("55.06"))
    rig.pay(invoice, Decimal("100"), str(invoice.document.issued_on))
    rig.sync()
    assert balance(rig, invoice) == Decimal("220.00") - Decimal("55.06") - 100
    records = rig.psa_payments(invoice.document)
    credits = [row for row in records if row.get("credit")]
    assert [str(row["credit"]["id"]) for row in credits] == [credit.document.external_id]
    assert balance(rig, credit) == 0


def test_a_removed_allocation_is_taken_back(rig: Rig):
    close(rig, "200.00")
    close(rig, "50.00", type="CreditMemo")
    rig.sync()
    invoice, credit = links()
    made = allocate(rig, credit, invoice, Decimal("30"))
    rig.sync()
    assert balance(rig, invoice) == Decimal("190.00")
    rig.unallocate(credit, made["AllocationID"])
    rig.sync()
    assert balance(rig, invoice) == Decimal("220.00")
    assert rig.psa_payments(invoice.document) == []


@pytest.mark.parametrize("kind", ["lost_answer", "drop"])
def test_a_credit_whose_answer_is_lost_is_applied_once(rig: Rig, kind, monkeypatch):
    from datetime import timedelta

    from psaltery.matching import carry_out

    monkeypatch.setattr(carry_out, "GRACE", timedelta(0))
    close(rig, "200.00")
    close(rig, "50.00", type="CreditMemo")
    rig.sync()
    invoice, credit = links()
    allocate(rig, credit, invoice, Decimal("55"))
    rig.fault("psa", method="POST", path="/payments", kind=kind, times=1)
    rig.sync(quiet=True)
    for _ in range(3):
        rig.work(quiet=True)
    assert balance(rig, invoice) == Decimal("165.00")
    assert len(rig.psa_payments(invoice.document)) == 1
