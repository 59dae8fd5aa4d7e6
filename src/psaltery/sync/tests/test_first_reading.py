"""Nothing is posted before the books were read once: what is there already must be adopted."""

import pytest

from psaltery.adapters.budget import Priority
from psaltery.connections.models import Feed
from psaltery.posting.models import Link, Posting
from psaltery.sync import push

pytestmark = pytest.mark.django_db(transaction=True)
LINES = [{"kind": "product", "description": "Switch", "quantity": "1", "price": "200.00"}]


def test_posting_waits_for_the_first_reading_and_then_adopts(rig):
    closed = rig.close_invoice(company=1, location="Sydney", tax_code="GST", lines=LINES)
    sydney = next(o for o in rig.organisations if "Sydney" in o.name)
    company = rig.psa_documents("companies")[0]
    line = {"Description": "Switch", "Quantity": 1, "UnitAmount": 200, "AccountCode": "200"}
    rig.write_books(
        sydney,
        "Invoices",
        {
            "Type": "ACCREC",
            "InvoiceNumber": closed["invoiceNumber"],
            "Contact": {"Name": company["name"]},
            "Status": "AUTHORISED",
            "Date": "2026-11-02",
            "DueDate": "2026-11-30",
            "LineItems": [{**line, "TaxType": "OUTPUT"}],
        },
    )
    for name in ("lookups", "companies", "invoices"):
        rig.read(Feed.objects.get(organisation=rig.site, name=name))
    assert push.post(sydney.pk, Priority.SCHEDULE) is False
    waiting = Posting.objects.get()
    assert waiting.state == "waiting"
    assert "read for the first time (contacts, credit notes, invoices)" in waiting.why
    rig.sync()
    assert Posting.objects.get().state == "in_step"
    assert Link.objects.get().how == "adopted"
