"""One invoice through every layer over real HTTP, and its payment back."""

from decimal import Decimal

import pytest

from psaltery.desk.models import Document
from psaltery.posting.models import Link, Posting
from psaltery.testing.rig import Rig

pytestmark = pytest.mark.django_db(transaction=True)


def one_invoice(rig: Rig, **changes):
    return rig.close_invoice(
        company=1,
        location="Sydney",
        tax_code="GST",
        lines=[
            {"kind": "product", "description": "Firewall", "quantity": "2", "price": "120.55"},
            {"kind": "time", "description": "Installation", "quantity": "1.5", "price": "165"},
        ],
        **changes,
    )


def test_an_invoice_reaches_the_books_and_its_payment_comes_back(rig: Rig):
    made = one_invoice(rig)
    rig.sync()
    posting = Posting.objects.select_related("document").get()
    assert (posting.state, posting.why) == (posting.State.IN_STEP, posting.why), posting.why
    link = Link.objects.get()
    invoice = rig.in_books(link.organisation, f"Invoices/{link.books_id}")["Invoices"][0]
    assert invoice["InvoiceNumber"] == posting.document.number
    assert Decimal(invoice["Total"]) == posting.document.total
    assert Decimal(invoice["TotalTax"]) == posting.document.tax
    assert link.psa_marked_at is not None
    assert link.psa_batch_id
    rig.pay(link, Decimal("100.00"), str(posting.document.issued_on))
    rig.sync()
    total = posting.document.total
    assert Decimal(rig.psa_invoice(posting.document)["balance"]) == total - 100
    rig.pay(link, total - 100, str(posting.document.issued_on))
    rig.sync()
    assert Decimal(rig.psa_invoice(posting.document)["balance"]) == 0
    assert Document.objects.get().balance == 0
    assert made["id"] == int(posting.document.external_id)
