"""Every page keeps WCAG 2.1 AA, in the light and in the dark, at a desk and on a phone.

A page is here as soon as a link leads to it: see psaltery.testing.accessibility.
"""

import re
from datetime import timedelta
from decimal import Decimal
from urllib.parse import urljoin

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from psaltery.accounts import service as accounts
from psaltery.accounts.models import Person, Role
from psaltery.contacts import service as pairing
from psaltery.ledger.models import Customer
from psaltery.mapping.models import Mapping
from psaltery.matching.tieout.service import tie_out
from psaltery.notify import outbox
from psaltery.notify import service as notify
from psaltery.posting.models import Link
from psaltery.rmm import keys
from psaltery.rmm import service as rmm
from psaltery.rmm.wire import Told
from psaltery.signals import service as signals
from psaltery.sync import backfill
from psaltery.testing import orders
from psaltery.testing.accessibility import AXE, Walk, findings, prepare, route_of, routes
from psaltery.testing.http_calls import call
from psaltery.testing.rig import Rig
from psaltery.testing.situations import at, close, close_everywhere, fell_due
from psaltery.web import assets

pytestmark = [
    pytest.mark.journey,
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(900),
    pytest.mark.skipif(not assets.is_up_to_date(), reason="assets are not built: make setup"),
]
PASSWORD = "a long enough secret"
VISIT = [{"kind": "product", "description": "Visit", "quantity": "1", "price": "80.00"}]


def test_the_checker_is_there():
    assert AXE.is_file(), "npm ci brings it: make setup"


# A busy office: something on every page.


def sold(rig: Rig) -> None:
    """Invoices that are paid, overdue, credited, refunded and held."""
    close_everywhere(rig)
    close(rig, type="CreditMemo", lines=VISIT)
    rig.sync()
    link = Link.objects.select_related("document", "organisation").get(
        books_kind="invoice", organisation=at(rig, "Sydney"), document__kind="invoice"
    )
    rig.pay(link, Decimal("20"), str(link.document.issued_on))
    _refund(
        rig, Link.objects.select_related("document", "organisation").get(books_kind="credit_note")
    )
    given = {"amount": 5, "paymentDate": f"{link.document.issued_on}T00:00:00Z", "type": "Card"}
    call(
        f"{rig.psa_url}/_control/enter_payment",
        "POST",
        {"number": link.document.number, **given},
    )
    Mapping.objects.filter(list="tax", organisation=at(rig, "Adelaide")).delete()
    close(rig, "Adelaide")


def _refund(rig: Rig, credit: Link) -> None:
    accounts_of_books = rig.in_books(credit.organisation, "Accounts")["Accounts"]
    bank = next(row for row in accounts_of_books if row["Type"] == "BANK")
    body = {
        "CreditNote": {"CreditNoteID": credit.books_id},
        "Account": {"AccountID": bank["AccountID"]},
        "Amount": "20.00",
        "Date": str(credit.document.issued_on),
    }
    rig.write_books(credit.organisation, "Payments", body)


def bought(rig: Rig) -> None:
    """An order of which a part came."""
    made = orders.order(rig, orders.vendor(rig), (3, "99.95"), (2, "20"))
    orders.receive(rig, made, "S-1", "NG-1")


def told(rig: Rig, ada: Person) -> None:
    """Alerts, keys, tokens, a channel that tells of what is held."""
    fell_due(70)
    signals.look()
    keys.make()
    company = rig.psa_documents("companies")[0]["identifier"]
    rmm.keep([Told(id="1", title="Disk almost full", device="SRV01", company=company)])
    rmm.keep([Told(id="2", title="Backup failed", severity="critical", company="nobody")])
    accounts.issue_token(ada, "Power BI", [accounts.Scope.READ])
    accounts.add_person("bea@example.com", "Bea", Role.BOOKKEEPER)
    notify.recipient_of(ada)
    notify.add_channel("slack", "ops", "https://hooks.slack.com/services/T0/B0/xyz")
    for recipient in notify.Recipient.objects.all():
        recipient.rules.update(wait_minutes=0, since=timezone.now() - timedelta(days=1))
    outbox.book()


@pytest.fixture
def ada(transactional_db) -> Person:
    return accounts.add_person("ada@example.com", "Ada Admin", Role.ADMIN, password=PASSWORD)


@pytest.fixture
def office(rig: Rig, ada: Person) -> Rig:
    sydney = orders.take_bills(rig, items=True, purchase_orders=True, psa_payments=True)
    resembling = f"{rig.psa_documents('companies')[2]['name']} Holdings"
    adelaide = at(rig, "Adelaide")  # the first of the lists
    rig.write_books(adelaide, "Contacts", {"Contacts": [{"Name": resembling}]})
    bought(rig)
    sold(rig)
    for _ in range(2):
        rig.sync(quiet=True)
    Customer.objects.update(is_customer=True)  # as the books flag those that have an invoice
    pairing.pair(adelaide)
    tie_out(sydney, "ada@example.com")
    backfill.begin(sydney, None)
    told(rig, ada)
    return rig


def sign_in(page, url: str) -> None:
    page.goto(f"{url}/accounts/login/")
    page.get_by_label("Email").fill("ada@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()


# No link leads there, but a page sends people there.
SENT_TO = ["web:find", "mfa_list_webauthn", "account_reauthenticate", "mfa_reauthenticate"]
# The first: shown in situations that are not this office's, such as a second factor, single sign-on
# or a code by mail. The others are a file and parts of pages, found by what only their links say.
ELSEWHERE = (
    *("accounts/", "mapping/routes/export/", "ledger/totals/", "calls/<int:number>/backfill/"),
    *("exceptions/<int:number>/contacts/", "mapping/contacts/pair/<int:number>/search/"),
)


def test_pages_of_a_busy_office(office: Rig, live_app, page, console):
    prepare(page)
    sign_in(page, live_app.url)
    walk = Walk(page, live_app.url)
    chosen = reverse("connections:organisations", args=[office.connection.pk])
    found = [
        f"{address} {one}"
        for address in walk.pages("/", chosen, *map(reverse, SENT_TO))
        for one in findings(page)
    ]
    assert found == []
    assert walk.broken == []
    missed = [route for route in routes() if route not in walk.visited and is_a_page(page, route)]
    assert [route for route in missed if not route.startswith(ELSEWHERE)] == []
    assert console == []


def is_a_page(page, route: str) -> bool:
    """Whether somebody who goes there sees a page: not a part of one, a file, or a refusal."""
    address = re.sub(r"<int:\w+>", "1", re.sub(r"<(slug|str):\w+>", "x", route))
    answer = page.context.request.get(urljoin(page.url, f"/{address}"), max_redirects=0)
    if answer.status == 404:
        return True  # there may be one for another number
    return answer.status == 200 and "<html" in answer.text()


def test_pages_before_somebody_is_signed_in(ada: Person, live_app, page):
    prepare(page)
    link = accounts.password_link(ada)
    walk = Walk(page, live_app.url)
    login, forgotten = reverse("account_login"), reverse("account_reset_password")
    walked = walk.pages(login, forgotten, link.removeprefix(live_app.url))
    assert [f"{address} {one}" for address in walked for one in findings(page)] == []
    assert walk.broken == []
    assert {route_of(login), route_of(forgotten)} <= set(walk.visited)


def test_the_first_page_of_all(transactional_db, live_app, page):
    prepare(page)
    walk = Walk(page, live_app.url)
    address = reverse("accounts:set_up")
    assert [one for _ in walk.pages(address) for one in findings(page)] == []
