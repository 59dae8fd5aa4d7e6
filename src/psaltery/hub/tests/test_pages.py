"""The customer pages over both sandboxes: what each system knows of one customer, on one page."""

import csv
from decimal import Decimal

from django.urls import reverse

from psaltery.accounts.models import Person, Role
from psaltery.mapping.models import ContactLink
from psaltery.portfolio import service
from psaltery.portfolio.models import Customer
from psaltery.posting.models import Link

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


def close(rig, price="200.00", **changes):
    lines = [{"kind": "product", "description": "Switch", "quantity": "1", "price": price}]
    given = {"company": 1, "location": "Sydney", "tax_code": "GST", "lines": lines, **changes}
    return rig.close_invoice(**given)


def sign_in(client, role=Role.BOOKKEEPER):
    person = Person.objects.create_user(f"{role}@example.com", name="Vic", role=role)
    client.force_login(person, backend=BACKEND)


def test_one_customer_of_both_systems(rig, client):
    close(rig)
    rig.sync()
    rig.sync()
    assert service.refresh()
    link = ContactLink.objects.get()
    customer = Customer.objects.get(company=link.company)
    assert (customer.outstanding, customer.currency) == (Decimal(220), "AUD")
    assert customer.invoiced == Decimal(200)
    assert customer.contracted > 0
    sign_in(client)
    page = client.get(reverse("hub:index")).content.decode()
    assert customer.name in page
    assert "220.00" in page
    page = client.get(reverse("hub:customer", args=[customer.pk])).content.decode()
    number = Link.objects.get().number
    assert number in page
    assert "managed services" in page
    assert "go.xero.com" in page
    file = b"".join(client.get(reverse("hub:index"), {"format": "csv"}).streaming_content)
    rows = {row["Customer"]: row for row in csv.DictReader(file.decode("utf-8-sig").splitlines())}
    assert rows[customer.name]["Outstanding"] == "220.0000"
    page = client.get(reverse("hub:timeline", args=[customer.pk])).content.decode()
    assert f"Invoice {number}" in page
    assert f"{number} written to the books" in page
