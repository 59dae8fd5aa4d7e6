"""From nothing to the cent, in the browser: connect, choose, map, post, pay, see it paid."""

import re
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from psaltery.testing.consent import allow_access
from psaltery.testing.signed_in import signed_in_as
from psaltery.web import assets

pytestmark = [
    pytest.mark.journey,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not assets.is_up_to_date(), reason="assets are not built: make setup"),
]
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
LINES = [
    {"kind": "product", "item": "FW-60F", "quantity": "2", "price": "120.55"},
    {"kind": "time", "description": "Set-up", "quantity": "1.5", "price": "165"},
]


@pytest.fixture
def systems(transactional_db, settings, live_app):
    """Both sandboxes, and nothing of them in Psaltery yet."""
    from psaltery.adapters.connectwise.sandbox import Sandbox as Psa
    from psaltery.adapters.xero.sandbox import Client
    from psaltery.adapters.xero.sandbox import Sandbox as Books
    from psaltery.testing.rig import CLIENT, KEYS, Rig

    callback = f"{live_app.url}/connections/callback"
    client = Client(CLIENT.id, CLIENT.secret, (callback,))
    made = Rig(
        Psa(companies=3, limits=False, keys=(KEYS,)),
        Books(orgs=3, limits=False, clients=(client,)),
    )
    settings.PUBLIC_URL = live_app.url
    policy = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    directives = {**policy, "form-action": ["'self'", made.books_url]}
    settings.CONTENT_SECURITY_POLICY = {"DIRECTIVES": directives}
    settings.XERO_API_URL = settings.XERO_IDENTITY_URL = settings.XERO_LOGIN_URL = made.books_url
    yield made
    made.close()


@pytest.fixture
def signed_in(live_app, page, settings):
    """A page of an administrator."""
    from psaltery.accounts.models import Person, Role

    ann = Person.objects.create_user("ann@example.com", name="Ann", role=Role.ADMIN)
    return signed_in_as(ann, page, live_app.url)


def connect_connectwise(page, url, systems):
    page.goto(f"{url}/connections/add/connectwise/")
    for label, value in (
        ("Name", "Our PSA"),
        ("Site", systems.psa_url),
        ("Company", "harbour"),
        ("Public key", "public"),
        ("Private key", "private-key-1"),
        ("Client id", "0000-1111"),
    ):
        page.get_by_label(label).fill(value)
    page.get_by_role("button", name="Connect and try each permission").click()
    expect(page.get_by_text("Everything works")).to_be_visible()


def connect_xero(page, url):
    page.goto(f"{url}/connections/add/xero/")
    page.get_by_label("Name").fill("Our books")
    page.get_by_label("Client id").fill("rig-client")
    page.get_by_label("Client secret").fill("rig-secret")
    page.get_by_role("button", name="Go on to Xero").click()
    allow_access(page)
    page.get_by_role("button", name=re.compile("Select all 3 found")).click()
    expect(page.get_by_text("Everything works")).to_be_visible()


def adopt(systems):
    """Let the rig do the worker's part for what was connected in the browser."""
    from psaltery.connections.models import Budget, Connection, Organisation

    systems.connection = Connection.objects.get(kind="xero")
    systems.organisations = list(systems.connection.organisations.filter(chosen=True))
    systems.site = Organisation.objects.get(connection__kind="connectwise")
    Budget.objects.update(per_minute=60_000)


def settle(page, url, systems, heading, choose):
    """Open the exception, answer it, and let the engine go on."""
    page.goto(f"{url}/exceptions/")
    page.get_by_role("link", name=heading).first.click()
    choose(page)
    expect(page.get_by_text(re.compile("released", re.I)).first).to_be_visible()
    systems.work()


def route_to_sydney(page):
    page.get_by_label("They go to").select_option(label="Harbourline IT (Sydney)")
    page.get_by_role("button", name=re.compile("Add a route and release")).click()


def test_an_invoice_from_nothing_to_paid(systems, signed_in, live_app):
    from psaltery.mapping.service import set_mapping
    from psaltery.posting.models import Link, Posting

    page, url = signed_in, live_app.url
    connect_connectwise(page, url, systems)
    connect_xero(page, url)
    adopt(systems)
    systems.close_invoice(company=1, location="Sydney", tax_code="GST", lines=LINES)
    systems.sync()
    assert Posting.objects.get().state == "held"
    settle(page, url, systems, re.compile("location “Sydney”"), route_to_sydney)
    sydney = next(one for one in systems.organisations if "Sydney" in one.name)
    set_mapping(sydney, "tax", "tax_code", "GST", "OUTPUT")
    page.goto(f"{url}/mapping/?organisation={sydney.pk}")
    row = page.get_by_role("row").filter(has_text="Everything else")
    row.locator("summary").click()
    row.get_by_label("Account for everything else").fill("200 Sales")
    row.get_by_role("button", name="Map").click()
    expect(page.locator(".stat-value").first).to_have_text("100 %")
    systems.work()
    link = Link.objects.select_related("document", "organisation").get()
    invoice = systems.in_books(link.organisation, f"Invoices/{link.books_id}")["Invoices"][0]
    assert Decimal(invoice["Total"]) == link.document.total
    page.goto(f"{url}/documents/{link.document_id}/")
    expect(page.get_by_text("to the cent")).to_be_visible()
    systems.pay(link, link.document.total, str(link.document.issued_on))
    systems.sync()
    assert Decimal(str(systems.psa_invoice(link.document)["balance"])) == 0
    page.reload()
    expect(
        page.get_by_text("From the books").or_(page.get_by_text("payment")).first
    ).to_be_visible()
