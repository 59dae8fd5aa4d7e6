"""RMM alerts over real HTTP: signed, stored once, shown on the customer's timeline."""

import json
import urllib.error
import urllib.request
from datetime import UTC, datetime

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from psaltery.accounts.models import Role
from psaltery.adapters.errors import BadSettings
from psaltery.connections.models import Connection
from psaltery.desk.models import Company
from psaltery.hub.tests.test_journey import BUILT, sign_in
from psaltery.portfolio.models import Customer
from psaltery.rmm import keys, service, wire
from psaltery.rmm.models import RmmAlert, RmmKey

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ALERT = {
    "id": "a-1",
    "company": "ALDER",
    "title": "Disk almost full",
    "device": "SRV01",
    "severity": "error",
    "at": "2026-11-20T10:00:00Z",
    "url": "https://rmm.example/alerts/1",
}


@pytest.fixture
def customer(transactional_db):
    site = Connection.objects.create(kind="connectwise", name="PSA", state="connected")
    names = "status account_number tax_number email phone website city region postcode country"
    blank = dict.fromkeys([*names.split(), "currency", "tax_code", "territory"], "")
    company = Company.objects.create(
        connection=site, external_id="7", identifier="Alder", name="Alder Legal",
        is_vendor=False, deleted=False, **blank,
    )  # fmt: skip
    return Customer.objects.create(name="Alder Legal", company=company)


def send(app, body, signature):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{app.url}/api/webhooks/rmm", data=data, method="POST")
    request.add_header("X-Psaltery-Signature", signature(data))
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers["X-Psaltery-Stored"]
    except urllib.error.HTTPError as refused:
        return refused.code, None


def test_signed_alerts_are_stored_once_and_forged_ones_not_at_all(live_app, customer):
    secret = keys.make()

    def signed(data):
        return keys.signature(secret, data)

    assert send(live_app, ALERT, lambda data: "sha256=" + "0" * 64) == (401, None)
    assert send(live_app, ALERT, lambda data: "") == (401, None)
    assert send(live_app, ALERT, lambda data: signed(data + b" ")) == (401, None)
    assert not RmmAlert.objects.exists()
    assert send(live_app, ALERT, signed) == (200, "1")
    assert send(live_app, ALERT, signed) == (200, "0")
    more = {"alerts": [{**ALERT, "resolved": True}, {"id": "a-2", "title": "Odd", "company": "??"}]}
    assert send(live_app, more, signed) == (200, "1")
    first = RmmAlert.objects.get(external_id="a-1")
    assert (first.company, first.resolved) == (customer.company, True)
    assert RmmAlert.objects.get(external_id="a-2").company is None
    assert send(live_app, b"{", signed) == (400, None)
    assert send(live_app, {"id": "a-3"}, signed) == (400, None)
    assert RmmKey.objects.get().used_at is not None
    keys.remove(RmmKey.objects.get())
    assert send(live_app, ALERT, signed) == (401, None)


def test_an_alert_finds_its_company_when_that_is_read_later(customer):
    told = {**ALERT, "company": "Birch Dental"}
    service.keep(wire.read(json.dumps(told).encode(), NOW))
    assert RmmAlert.objects.get().company is None
    assert service.find_companies() == 0
    Company.objects.update(name="Birch Dental")
    assert service.find_companies() == 1
    assert RmmAlert.objects.get().company == customer.company


def test_a_beginning_that_is_repeated_after_the_end_opens_nothing(customer):
    def told(**changes):
        return service.keep(wire.read(json.dumps({**ALERT, **changes}).encode(), NOW))

    assert told() == 1
    assert told(resolved=True, at="2026-11-20T11:00:00Z") == 0
    assert told() == 0
    assert RmmAlert.objects.get().resolved
    # It comes back: that is news.
    assert told(at="2026-11-20T12:00:00Z") == 0
    assert not RmmAlert.objects.get().resolved


@pytest.mark.django_db
def test_two_keys_while_one_is_rotated():
    old, new = keys.make(), keys.make()
    assert keys.signed_with(b"x", keys.signature(old, b"x")).hint == old[-4:]
    assert keys.signed_with(b"x", keys.signature(new, b"x")).hint == new[-4:]
    assert old not in RmmKey.objects.first().sealed
    with pytest.raises(BadSettings, match="two keys already"):
        keys.make()
    assert keys.reseal_all() == 0


def test_what_comes_is_cut_and_made_harmless():
    body = {**ALERT, "title": "x" * 900, "url": "javascript:alert(1)", "at": "2026-11-20T10:00:00"}
    (told,) = wire.read(json.dumps(body).encode(), NOW)
    assert (len(told.title), told.url, told.at.tzinfo) == (500, "", UTC)
    (quoted,) = wire.read(json.dumps({**ALERT, "text": 'say "alerts"'}).encode(), NOW)
    assert quoted.id == "a-1"
    with pytest.raises(wire.TooMany):
        wire.read(json.dumps({"alerts": [ALERT] * 501}).encode(), NOW)


@pytest.mark.journey
@BUILT
def test_from_the_key_to_the_timeline(customer, page, live_app, console):
    sign_in(page, live_app.url, Role.ADMIN)
    page.goto(live_app.url + reverse("rmm:index"))
    expect(page.get_by_text("There is no key yet: everything is refused.")).to_be_visible()
    page.get_by_role("button", name="Make a key").click()
    said = page.get_by_text("The new key, shown only now:").inner_text()
    secret = said.split(": ")[1].strip()
    assert send(live_app, ALERT, lambda data: keys.signature(secret, data)) == (200, "1")
    page.reload()
    expect(page.get_by_text(secret)).to_be_hidden()
    row = page.get_by_role("row").filter(has_text="Disk almost full")
    row.get_by_role("link", name="Alder Legal").click()
    page.get_by_role("link", name="Timeline").click()
    event = page.locator("[data-kind=rmm]")
    expect(event).to_contain_text("SRV01 · error")
    expect(event.get_by_role("link")).to_have_attribute("href", ALERT["url"])
    assert console == []
