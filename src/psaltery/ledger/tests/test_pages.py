"""The ledger's pages on real rows: filters, sums, files, one invoice, and their fixed cost."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from psaltery.accounts.models import Person, Role
from psaltery.connections.models import Connection, Organisation
from psaltery.desk.models import Document
from psaltery.ledger.models import (
    BillingCreditMemo,
    BillingInvoice,
    BillingInvoiceLine,
    BillingPayment,
    Customer,
    LedgerAccount,
    LedgerTaxRate,
    Unallocated,
)
from psaltery.posting.models import Link

pytestmark = pytest.mark.django_db

TODAY = timezone.localdate()
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@pytest.fixture
def books():
    """Two organisations of one connection."""
    xero = Connection.objects.create(kind="xero", name="Books", fields={"client_id": "c"})
    make = Organisation.objects.create
    return [
        make(connection=xero, external_id=f"t{n}", name=name, chosen=True, base_currency=currency)
        for n, (name, currency) in enumerate((("Sydney", "AUD"), ("Auckland", "NZD")))
    ]


@pytest.fixture
def signed_in(client):
    person = Person.objects.create_user("vic@example.com", name="Vic", role=Role.VIEWER)
    client.force_login(person, backend=BACKEND)
    return client


def a_customer(organisation, name, **more):
    values = {"email": f"{name.split()[0].lower()}@example.com", "name_key": name.casefold()}
    values |= {"is_customer": True, "is_supplier": False, "state": "active"}
    return Customer.objects.create(
        organisation=organisation, source="xero", external_id=f"c-{name}", name=name,
        **values | more,
    )  # fmt: skip


def an_invoice(organisation, number, customer, total="110.00", **more):
    total = Decimal(total)
    values = {"kind": "receivable", "status": "authorised", "tax_mode": "exclusive"}
    values |= {"issued_on": TODAY, "due_on": TODAY + timedelta(days=14)}
    values |= {"total": total, "tax": total / 11, "subtotal": total - total / 11}
    values |= {"amount_due": total, "amount_paid": 0, "amount_credited": 0}
    values |= {"currency": organisation.base_currency, "customer_name": customer.name}
    return BillingInvoice.objects.create(
        organisation=organisation, source="xero", external_id=f"i-{number}", number=number,
        customer_external_id=customer.external_id, **values | more,
    )  # fmt: skip


def a_payment(invoice, amount="10.00", **more):
    values = {"kind": "receivable", "touch": "payment", "paid_on": TODAY, "state": "active"}
    values |= {"currency": invoice.currency, "reconciled": False}
    count = BillingPayment.objects.count()
    return BillingPayment.objects.create(
        organisation=invoice.organisation, source="xero", external_id=f"p-{count}",
        touch_external_id=f"p-{count}", invoice_external_id=invoice.external_id,
        amount=Decimal(amount), **values | more,
    )  # fmt: skip


@pytest.fixture
def world(books):
    sydney, auckland = books
    acme, bay = a_customer(sydney, "Acme Dental"), a_customer(auckland, "Bay Freight")
    return {
        "late": an_invoice(sydney, "INV-1", acme, due_on=TODAY - timedelta(days=3)),
        "soon": an_invoice(sydney, "INV-2", acme, "220.00", due_on=TODAY + timedelta(days=2)),
        "draft": an_invoice(sydney, "INV-3", acme, status="draft"),
        "void": an_invoice(sydney, "INV-4", acme, "999.00", status="voided", amount_due=0),
        "kiwi": an_invoice(auckland, "INV-5", bay, "50.00", amount_due=Decimal("20.00")),
        "bill": an_invoice(sydney, "BILL-1", acme, kind="payable"),
    }


def numbers(answer):
    text = answer.content.decode()
    return [n for n in ("INV-1", "INV-2", "INV-3", "INV-4", "INV-5", "BILL-1") if f">{n}<" in text]


def test_customers_show_what_they_owe(signed_in, world):
    answer = signed_in.get(reverse("ledger:customers"))
    text = answer.content.decode()
    # Drafts are not paid, so their amount is still open in the books.
    assert "440.00" in text
    assert "20.00" in text
    assert f"?customer={Customer.objects.get(name='Acme Dental').pk}" in text
    found = signed_in.get(reverse("ledger:customers"), {"q": "freight"}).content.decode()
    assert "Bay Freight" in found
    assert "Acme Dental" not in found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["INV-1", "INV-2", "INV-3", "INV-4", "INV-5"]),
        ({"due": "overdue"}, ["INV-1"]),
        ({"due": "week"}, ["INV-2"]),
        ({"due": "open"}, ["INV-1", "INV-2", "INV-5"]),
        ({"status": "draft"}, ["INV-3"]),
        ({"status": "no such"}, ["INV-1", "INV-2", "INV-3", "INV-4", "INV-5"]),
        ({"q": "bay"}, ["INV-5"]),
        ({"q": "INV-2"}, ["INV-2"]),
        ({"date_from": str(TODAY + timedelta(days=1))}, []),
    ],
)
def test_invoices_are_filtered(signed_in, world, query, found):
    assert numbers(signed_in.get(reverse("ledger:invoices"), query)) == found


def test_invoices_of_a_customer_and_an_organisation(signed_in, world):
    bay = Customer.objects.get(name="Bay Freight")
    answer = signed_in.get(reverse("ledger:invoices"), {"customer": bay.pk})
    assert numbers(answer) == ["INV-5"]
    assert "Bay Freight" in answer.content.decode()
    query = {"organisation": bay.organisation_id}
    assert numbers(signed_in.get(reverse("ledger:invoices"), query)) == ["INV-5"]
    odd = {"customer": "99999999999999999999999"}
    assert len(numbers(signed_in.get(reverse("ledger:invoices"), odd))) == 5


def test_totals_follow_the_view_and_leave_voided_ones_out(signed_in, world):
    url = reverse("ledger:totals", args=["invoices"])
    text = signed_in.get(url).content.decode()
    assert "AUD invoiced" in text
    assert "440.00" in text
    assert "20.00 NZD open" in text
    assert "999.00" not in text
    shown = {"HX-Current-URL": "http://localhost/ledger/invoices/?due=overdue"}
    narrowed = signed_in.get(url, headers=shown).content.decode()
    assert "110.00" in narrowed
    assert "NZD" not in narrowed
    assert signed_in.get(reverse("ledger:totals", args=["nothing"])).status_code == 404


def test_csv_has_the_rows_of_the_view(signed_in, world):
    answer = signed_in.get(reverse("ledger:invoices"), {"format": "csv", "due": "overdue"})
    lines = b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("INV-1,Acme Dental,Sydney,")
    assert "110.0000,AUD" in lines[1]


def test_an_invoice_shows_lines_payments_and_its_document(signed_in, world):
    invoice = world["soon"]
    sydney = invoice.organisation
    common = {"organisation": sydney, "active": True}
    LedgerAccount.objects.create(
        **common, external_id="a", code="200", name="Sales", type="SALES", takes_payments=False
    )
    LedgerTaxRate.objects.create(**common, tax_type="OUTPUT", name="GST on Income", rate=10)
    BillingInvoiceLine.objects.create(
        organisation=sydney, invoice_external_id=invoice.external_id, position=0,
        description="Firewall", quantity=10, unit_amount=20, line_amount=200, tax_amount=20,
        tax_type="OUTPUT", account_code="200", tracking=["Region: East"],
    )  # fmt: skip
    a_payment(invoice, "30.00", reference="EFT 77")
    a_payment(invoice, "5.00", state="deleted")
    psa = Connection.objects.create(kind="connectwise", name="PSA")
    document = Document.objects.create(
        connection=psa, external_id="2", kind="invoice", number="2", issued_on=TODAY, closed=True,
        subtotal=200, tax=20, total=220, payments=0, credits=0, balance=220, posted=False,
    )  # fmt: skip
    Link.objects.create(
        document=document, organisation=sydney, books_kind="invoice", books_id=invoice.external_id,
        number="INV-2", total=220, tax=20, how="posted",
    )  # fmt: skip
    text = signed_in.get(reverse("ledger:invoice", args=[invoice.pk])).content.decode()
    for words in ("Firewall", "200 Sales", "GST on Income (10 %)", "Region: East", "EFT 77",
                  "Removed", "posted"):  # fmt: skip
        assert words in text
    assert ">10</td>" in text


def test_payments_are_found_by_invoice_and_reference(signed_in, world):
    a_payment(world["soon"], "30.00", reference="EFT 77")
    a_payment(world["kiwi"], "12.00", touch="credit_note", touch_number="CN-1")
    url = reverse("ledger:payments")
    assert "EFT 77" in signed_in.get(url, {"invoice": "acme"}).content.decode()
    assert "CN-1" not in signed_in.get(url, {"invoice": "acme"}).content.decode()
    assert "CN-1" in signed_in.get(url, {"touch": "credit_note"}).content.decode()
    assert "INV-5" not in signed_in.get(url, {"q": "eft"}).content.decode()
    totals = signed_in.get(reverse("ledger:totals", args=["payments"])).content.decode()
    assert "30.00" in totals


def test_credit_notes_and_unallocated(signed_in, world, books):
    values = {"organisation": books[0], "source": "xero", "kind": "receivable"}
    values |= {"customer_name": "Acme Dental", "currency": "AUD", "status": "authorised"}
    BillingCreditMemo.objects.create(
        **values, external_id="n1", number="CN-9", issued_on=TODAY, subtotal=1, tax=0, total=50,
        remaining=0,
    )  # fmt: skip
    Unallocated.objects.create(
        **values, external_id="u1", touch="overpayment", received_on=TODAY, total=70, remaining=70
    )
    url = reverse("ledger:credit_notes")
    assert "CN-9" in signed_in.get(url).content.decode()
    assert "CN-9" not in signed_in.get(url, {"unused": "1"}).content.decode()
    assert "Overpayment" in signed_in.get(reverse("ledger:unallocated")).content.decode()


@pytest.mark.parametrize("name", ["customers", "invoices", "payments"])
def test_a_page_costs_the_same_whatever_it_lists(signed_in, world, name):
    def cost():
        with CaptureQueriesContext(
            connection,
        ) as queries:
            signed_in.get(reverse(f"ledger:{name}"))
        return len(queries)

    a_payment(world["soon"])
    signed_in.get(reverse(f"ledger:{name}"))
    before = cost()
    customer = Customer.objects.get(name="Acme Dental")
    for number in range(30):
        a_payment(an_invoice(customer.organisation, f"X-{number}", customer))
    assert cost() == before


def test_pages_are_for_people_who_signed_in(client, db):
    assert client.get(reverse("ledger:invoices")).status_code == 302
