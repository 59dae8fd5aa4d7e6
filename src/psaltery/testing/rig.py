"""Both sandboxes over real HTTP, connected through the real services, with sensible mappings.

The rig does in this process, in order, what the worker's jobs do: `rig.sync()`. Tests of the
worker itself start one.
"""

from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import urlencode

import httpx2
from django.db import transaction

from psaltery.adapters.budget import Priority
from psaltery.adapters.connectwise.sandbox import ApiKey
from psaltery.adapters.connectwise.sandbox import Sandbox as PsaSandbox
from psaltery.adapters.errors import Failure
from psaltery.adapters.sandboxing import RunningServer
from psaltery.adapters.xero.sandbox import Client
from psaltery.adapters.xero.sandbox import Sandbox as BooksSandbox
from psaltery.connections import service
from psaltery.connections.consent import begin_consent, complete_consent
from psaltery.connections.models import Budget, Connection, Feed, Organisation
from psaltery.connections.opening import open_psa
from psaltery.connections.organisations import choose
from psaltery.desk.models import Document
from psaltery.ledger.models import LedgerAccount, LedgerTaxRate
from psaltery.mapping.service import add_route, set_mapping
from psaltery.posting.models import Link
from psaltery.sync import payments, pull, push
from psaltery.testing.http_calls import call
from psaltery.testing.news import News

REDIRECT = "http://localhost/callback"
CLIENT = Client("rig-client", "rig-secret", (REDIRECT,))
KEYS = ApiKey("public", "private-key-1")


class Rig:
    """A PSA site and some organisations of the books, connected."""

    def __init__(self, psa: PsaSandbox, books: BooksSandbox) -> None:
        self.psa_sandbox, self.books_sandbox = psa, books
        self.psa_server: RunningServer = psa.start()
        self.books_server: RunningServer = books.serve()
        self.psa_url, self.books_url = self.psa_server.url, self.books_server.url
        grant = books.grant(CLIENT.id)
        self._token = grant["access_token"]
        self._news = News()

    def connect(self) -> None:
        """Connect both through the real services, as a person would."""
        self.site = self._connect_psa()
        self.connection = self._connect_books()
        choose(self.connection, list(self.connection.organisations.all()))
        self.organisations = list(self.connection.organisations.order_by("name"))

    def _connect_psa(self) -> Organisation:
        fields = {
            "site": self.psa_url,
            "company": "harbour",
            "public_key": KEYS.public,
            "private_key": KEYS.private,
            "client_id": "00000000-0000-0000-0000-000000000001",
        }
        connection = service.add("connectwise", "Our PSA", fields)
        service.connect_with_keys(connection)
        return Organisation.objects.get(connection=connection)

    def _connect_books(self) -> Connection:
        fields = {"client_id": CLIENT.id, "client_secret": CLIENT.secret, "mode": "web"}
        connection = service.add("xero", "Our books", fields)
        consent_page = begin_consent(connection, redirect_uri=REDIRECT)
        answer = httpx2.get(f"{consent_page}&sandbox_auto=allow")
        return complete_consent(answer.headers["location"], connection=connection)

    def map_everything(self) -> None:
        """Routes by location and a mapping for every kind of line and tax, in each organisation."""
        for organisation in self.organisations:
            organisation.refresh_from_db()  # the settings have been read meanwhile
            location = organisation.name.partition("(")[2].rstrip(")")
            add_route(self.site.connection, "location", location, organisation)
            account = LedgerAccount.objects.filter(
                organisation=organisation, type__in=("REVENUE", "SALES"), active=True
            ).first()
            assert account is not None
            set_mapping(organisation, "account", "any", "", account.code)
            self._map_taxes(organisation)

    def _map_taxes(self, organisation: Organisation) -> None:
        rates = LedgerTaxRate.objects.filter(organisation=organisation, active=True)
        taxed = "OUTPUT2" if organisation.country == "NZ" else "OUTPUT"
        untaxed = "ZERORATED" if organisation.country == "NZ" else "EXEMPTOUTPUT"
        assert rates.filter(tax_type=taxed).exists()
        for code in self.tax_codes():
            target = taxed if code["levelOneRate"] else untaxed
            set_mapping(organisation, "tax", "tax_code", code["identifier"], target)
        set_mapping(organisation, "tax", "exempt", "", untaxed)

    def tax_codes(self) -> list[Any]:
        """The PSA's tax codes."""
        return self.psa_documents("taxCodes")

    def psa_documents(self, collection: str) -> list[Any]:
        """The PSA sandbox's raw records."""
        found: list[Any] = call(f"{self.psa_url}/_control/documents/{collection}")
        return found

    # What happens outside.

    def close_invoice(self, **invoice: Any) -> Any:
        """A person closes a new invoice in the PSA."""
        return call(f"{self.psa_url}/_control/create_invoice", "POST", invoice)

    def edit(self, link: Link, **changes: Any) -> Any:
        """A person edits a posted invoice as one does in ConnectWise: deletes its batch, reopens,
        changes, closes."""
        link.refresh_from_db()
        if link.psa_batch_id:
            open_psa(self.site).unmark_posted(link.psa_batch_id)
            Link.objects.filter(pk=link.pk).update(psa_batch_id="")
        body = {"id": int(link.document.external_id), **changes}
        return call(f"{self.psa_url}/_control/edit_invoice", "POST", body)

    def companies(self, office: str) -> list[int]:
        """The ids of the customers of an office; their currency is the office's."""
        rows = self.psa_documents("companies")
        return [
            row["id"]
            for row in rows
            if row.get("territory", {}).get("name") == office and not row["isVendorFlag"]
        ]

    def in_books(self, organisation: Organisation, path: str, **query: str) -> Any:
        """Ask the books' own API."""
        tail = f"?{urlencode(query)}" if query else ""
        return call(
            f"{self.books_url}/api.xro/2.0/{path}{tail}",
            Authorization=f"Bearer {self._token}",
            **{"Xero-Tenant-Id": organisation.external_id},
        )

    def write_books(
        self, organisation: Organisation, path: str, body: Any, method: str = "PUT"
    ) -> Any:
        """A person (or another program) writes in the books."""
        return call(
            f"{self.books_url}/api.xro/2.0/{path}",
            method,
            body,
            Authorization=f"Bearer {self._token}",
            **{"Xero-Tenant-Id": organisation.external_id},
        )

    def pay(self, link: Link, amount: Decimal, day: str) -> Any:
        """A customer pays an invoice; the bookkeeper enters it in the books."""
        account = next(
            account
            for account in self.in_books(link.organisation, "Accounts")["Accounts"]
            if account["Type"] == "BANK"
        )
        body = {
            "Invoice": {"InvoiceID": link.books_id},
            "Account": {"AccountID": account["AccountID"]},
            "Amount": str(amount),
            "Date": day,
        }
        return self.write_books(link.organisation, "Payments", body)

    def remove_payment(self, link: Link, payment_id: str) -> Any:
        """The bookkeeper deletes a payment in the books."""
        return call(
            f"{self.books_url}/api.xro/2.0/Payments/{payment_id}",
            "POST",
            {"Status": "DELETED"},
            Authorization=f"Bearer {self._token}",
            **{"Xero-Tenant-Id": link.organisation.external_id},
        )

    def unallocate(self, credit: Link, allocation_id: str) -> Any:
        """The bookkeeper removes the allocation of a credit note."""
        return call(
            f"{self.books_url}/api.xro/2.0/CreditNotes/{credit.books_id}/Allocations/{allocation_id}",
            "DELETE",
            Authorization=f"Bearer {self._token}",
            **{"Xero-Tenant-Id": credit.organisation.external_id},
        )

    def fault(self, side: str, **rule: Any) -> None:
        """Arrange a fault of the sandbox; `side` is psa or books."""
        url = self.psa_url if side == "psa" else self.books_url
        call(f"{url}/_control/faults", "POST", rule)

    def psa_invoice(self, document: Document) -> Any:
        """The invoice as the PSA has it now."""
        return next(
            row for row in self.psa_documents("invoices") if str(row["id"]) == document.external_id
        )

    def psa_payments(self, document: Document) -> list[Any]:
        """The payment records of an invoice in the PSA."""
        rows = self.psa_documents("payments")
        return [row for row in rows if str(row["invoice"]["id"]) == document.external_id]

    # What the worker does.

    def sync(self, *, quiet: bool = False) -> None:
        """Pull what may be new, post, mark, match: one cycle. `quiet` swallows the four
        failures."""
        feeds = Feed.objects.filter(organisation__chosen=True).order_by("pk")
        for feed in feeds.select_related("organisation__connection"):
            if self._news.may_be_for(self, feed):
                _attempt(quiet, partial(self.read, feed))
                self._news.was_read(self, feed)
        self.work(quiet=quiet)

    def read(self, feed: Feed) -> None:
        """One feed, to its end."""
        while pull.pull(feed.pk, Priority.SCHEDULE):
            pass

    def work(self, *, quiet: bool = False) -> None:
        """Post, mark and match what waits."""
        for organisation in self.organisations:
            for job in (
                lambda pk=organisation.pk: push.post(pk, Priority.SCHEDULE),
                lambda pk=organisation.pk: push.mark(pk),
                lambda pk=organisation.pk: payments.match(pk, Priority.SCHEDULE),
            ):
                _attempt(quiet, job)

    def close(self) -> None:
        for part in (self.psa_server, self.books_server):
            part.stop()
        self.psa_sandbox.close()
        self.books_sandbox.close()


def _attempt(quiet: bool, job: Any) -> None:
    assert not transaction.get_connection().in_atomic_block
    try:
        job()
    except Failure:
        if not quiet:
            raise


def make_rig(settings: Any, companies: int = 6, invoices: int = 0, **books: Any) -> Rig:
    """A connected rig, its settings read and everything mapped, nothing posted yet."""
    psa = PsaSandbox(companies=companies, invoices=invoices, limits=False, keys=(KEYS,))
    ledger = BooksSandbox(orgs=3, limits=False, clients=(CLIENT,), **books)
    made = Rig(psa, ledger)
    settings.XERO_API_URL = made.books_url
    settings.XERO_IDENTITY_URL = made.books_url
    settings.XERO_LOGIN_URL = made.books_url
    made.connect()
    Budget.objects.update(per_minute=60_000)  # the sandboxes have no limits here
    for feed in Feed.objects.filter(name="settings"):
        made.read(feed)
    made.map_everything()
    return made
