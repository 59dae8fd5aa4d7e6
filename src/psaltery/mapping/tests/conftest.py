"""A small world for the mapping pages: books with a chart, a PSA with documents routed to them."""

import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


class World:
    """Two organisations and a PSA; `document` makes a document that was routed to one."""

    def __init__(self):
        from psaltery.connections.models import Connection, Feed, Organisation

        connected = Connection.State.CONNECTED
        self.books = Connection.objects.create(kind="xero", name="Books", state=connected)
        self.psa = Connection.objects.create(kind="connectwise", name="PSA", state=connected)
        self.sydney = self._organisation("Sydney", "AUD")
        self.auckland = self._organisation("Auckland", "NZD")
        self.site = Organisation.objects.create(
            connection=self.psa, external_id="site", name="PSA", chosen=True
        )
        Feed.objects.create(organisation=self.sydney, name="invoices", seconds=21_600)

    def _organisation(self, name, currency):
        from psaltery.connections.models import Budget, Organisation
        from psaltery.ledger.models import LedgerTaxRate, LedgerTrackingOption

        one = Organisation.objects.create(
            connection=self.books, external_id=name, name=name, chosen=True, base_currency=currency
        )
        Budget.objects.create(organisation=one, per_minute=30)
        for code, title, more in (
            ("200", "Sales", {}),
            ("230", "Hardware Sales", {}),
            ("260", "Old Sales", {"active": False}),
            ("610", "Debtors", {"system": "DEBTORS", "account_class": "ASSET"}),
        ):
            self.account(one, code, title, **more)
        for kind, title, rate in (("OUTPUT", "GST on Income", 10), ("EXEMPTOUTPUT", "GST Free", 0)):
            LedgerTaxRate.objects.create(
                organisation=one, tax_type=kind, name=title, rate=rate, active=True
            )
        for title in ("East", "West"):
            LedgerTrackingOption.objects.create(
                organisation=one, category_external_id="r", category="Region",
                external_id=str(uuid.uuid4()), name=title, active=True,
            )  # fmt: skip
        return one

    def account(self, organisation, code, name, **more):
        from psaltery.ledger.models import LedgerAccount

        values = {"type": "REVENUE", "account_class": "REVENUE", "active": True}
        return LedgerAccount.objects.create(
            organisation=organisation, external_id=code, code=code, name=name,
            takes_payments=False, **values | more,
        )  # fmt: skip

    def option(self, organisation, name):
        from psaltery.ledger.models import LedgerTrackingOption

        return LedgerTrackingOption.objects.get(organisation=organisation, name=name).external_id

    def document(self, organisation, *lines, state="held", **more):
        from psaltery.desk.models import Document
        from psaltery.posting.models import Posting

        count = Document.objects.count() + 1
        amounts = [Decimal(line.get("amount", "100")) for line in lines]
        values = {"kind": "invoice", "type": "Standard", "company_external_id": "7"}
        values |= {"company_name": "Acme Dental", "currency": "AUD", "closed": True}
        values |= {"issued_on": timezone.localdate() - timedelta(days=2), "location": "Sydney"}
        values |= {"subtotal": sum(amounts), "tax": 0, "total": sum(amounts), "payments": 0}
        values |= {"credits": 0, "balance": sum(amounts), "posted": False, "tax_mode": "exclusive"}
        row = Document.objects.create(
            connection=self.psa, external_id=str(count), number=f"INV-{count}",
            lines=[self._line(line) for line in lines], **values | more,
        )  # fmt: skip
        Posting.objects.create(document=row, organisation=organisation, state=state)
        return row

    def _line(self, line):
        plain = {"key": "k", "source": "product", "description": "d", "quantity": "1"}
        plain |= {"unit_price": "100", "amount": "100", "taxable": True, "tax_code": "GST"}
        return plain | line

    def hold(self, document, code="account_unmapped"):
        """A card of this code holds the document."""
        from psaltery.review.models import Blocked, Card

        card = Card.objects.create(
            code=code, cause=f"{code}-{document.pk}", sentence="s",
            organisation=document.posting.organisation,
        )  # fmt: skip
        Blocked.objects.create(card=card, document=document, amount=document.total, currency="AUD")
        return card


@pytest.fixture
def world(transactional_db):
    return World()


@pytest.fixture
def signed_in(transactional_db):
    """`signed_in("viewer")` gives a client of somebody with that role."""
    from django.test import Client

    from psaltery.accounts.models import Person

    def sign_in(role="admin"):
        person = Person.objects.create_user(f"{role}@example.com", name=role, role=role)
        client = Client()
        client.force_login(person, backend=BACKEND)
        return client

    return sign_in
