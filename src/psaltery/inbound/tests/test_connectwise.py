"""Callbacks of ConnectWise: registered by us, believed only with the site's own signature."""

import base64
import hashlib
import hmac
import json
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from django.db import connection

from psaltery.adapters.errors import BadSettings
from psaltery.connections import service
from psaltery.connections.models import Connection
from psaltery.desk.models import Document
from psaltery.inbound import callback_key, real_time
from psaltery.inbound.models import ConnectWiseEvent, RealTime, Refusal
from psaltery.sync import called
from psaltery.testing.rig import call

SECRET = "a signing key of the site"


def signed(body, secret=SECRET):
    key = hashlib.sha256(secret.encode()).digest()
    return base64.b64encode(hmac.new(key, body, hashlib.sha256).digest()).decode()


@pytest.fixture
def site(db, httpserver):
    """A connection to a site that hands out its signing key, with callbacks wanted."""
    from psaltery.connections.organisations import site_of

    httpserver.expect_request("/key").respond_with_json({"signing_key": SECRET})
    fields = {"site": httpserver.url_for("").rstrip("/"), "company": "harbour"}
    connection = Connection.objects.create(
        kind="connectwise", name="PSA", state="connected", fields=fields
    )
    site_of(connection)
    row = real_time.of(connection)
    row.wanted = True
    row.save()
    return row


@pytest.fixture
def ring(client, site, httpserver):
    """`ring(Type=…)` calls us as the site does."""

    def ring(secret=SECRET, key_url="", public_id="", **body):
        told = {"Action": "updated", "ID": 12, "Type": "Company", "CompanyId": "harbour"}
        told |= {"Metadata": {"key_url": key_url or httpserver.url_for("/key")}} | body
        raw = json.dumps(told).encode()
        return client.post(
            f"/api/callbacks/connectwise/{public_id or site.public_id}?recordId=12&action=updated",
            data=raw,
            content_type="application/json",
            headers={"x-content-signature": signed(raw, secret)},
        )

    return ring


def jobs():
    from procrastinate.contrib.django.models import ProcrastinateJob

    return sorted(ProcrastinateJob.objects.values_list("task_name", flat=True))


def test_a_callback_is_stored_once_and_wakes_its_feed(ring):
    answer = ring()
    assert (answer.status_code, answer.content) == (200, b"")
    assert ring().status_code == 200
    row = ConnectWiseEvent.objects.get()
    assert (row.category, row.action, row.external_id, row.outcome) == (
        *("Company", "updated", "12"),
        "woke",
    )
    assert jobs() == ["pull_feed"]


def test_an_invoice_is_read_by_its_id(ring):
    ring(Type="Invoice")
    ring(Type="Invoice", ID=13)
    assert jobs() == ["read_called"]
    assert ConnectWiseEvent.objects.filter(handled_at__isnull=True).count() == 2


def test_a_forged_callback_is_refused(ring, httpserver):
    assert ring(secret="another").status_code == 401
    assert Refusal.objects.get().reason == "signature"
    assert not ConnectWiseEvent.objects.exists()


@pytest.mark.parametrize(
    "key_url",
    [
        "https://evil.example/key",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "https://api-na.myconnectwise.net.evil.example/key",
        "https://api-na.myconnectwise.net/key",  # of the cloud, and this site is none of it
        "//localhost/key",
    ],
)
def test_a_key_is_fetched_from_the_site_alone(ring, httpserver, key_url):
    assert ring(key_url=key_url).status_code == 401
    assert Refusal.objects.get().reason == "key_address"
    assert httpserver.log == []


def test_the_key_is_fetched_once(ring, httpserver):
    for number in range(5):
        assert ring(ID=number).status_code == 200
    assert len(httpserver.log) == 1


def test_many_key_addresses_do_not_make_many_calls(ring, httpserver):
    statuses = {ring(key_url=f"{httpserver.url_for('/key')}?{n}").status_code for n in range(20)}
    # 429: ConnectWise itself would come again within seconds.
    assert statuses == {200, 429}
    assert len(httpserver.log) == 1


def test_a_new_signing_key_counts_at_once(ring, httpserver, monkeypatch):
    monkeypatch.setattr(callback_key, "_BETWEEN_SECONDS", 0.0)
    assert ring().status_code == 200
    httpserver.clear()
    httpserver.expect_request("/key").respond_with_json({"signing_key": "a newer one"})
    assert ring(ID=2, secret="a newer one").status_code == 200
    assert ring(ID=3).status_code == 401


def test_an_address_nobody_gave_out_leads_nowhere(ring, site):
    assert ring(public_id="x" * 32).status_code == 410
    RealTime.objects.update(wanted=False)
    assert ring().status_code == 410


def test_unreadable_callbacks_are_counted(client, site):
    answer = client.post(
        f"/api/callbacks/connectwise/{site.public_id}", b"{", content_type="application/json"
    )
    assert answer.status_code == 400
    assert Refusal.objects.get().reason == "unreadable"


# Registration, at the sandbox.


def registered(rig):
    return call(f"{rig.psa_url}/_control/documents/callbacks")


@pytest.fixture
def psa(rig):
    return rig.site.connection


def test_callbacks_are_registered_once_each_and_removed(rig, psa):
    foreign = {"url": "https://other.example/hook?id=", "objectId": 1, "type": "Invoice"}
    real_time._open(psa)._client.create_callback({**foreign, "level": "owner"})
    row = real_time.switch(psa, True)
    assert set(row.types) == set(real_time.TYPES)
    real_time.check(psa)
    ours = [one for one in registered(rig) if row.public_id in one["url"]]
    assert sorted(one["type"] for one in ours) == sorted(real_time.TYPES)
    assert all(one["url"].endswith("?recordId=") for one in ours)
    real_time.remove(psa)
    assert [one["url"] for one in registered(rig)] == [foreign["url"]]


def test_a_callback_that_connectwise_switched_off_is_registered_again(rig, psa, settings):
    real_time.switch(psa, True)
    first = registered(rig)[0]
    rig.psa_sandbox.world.change("callbacks", first["id"], inactiveFlag=True)
    settings.PUBLIC_URL = "http://localhost:8099"  # and we moved
    row = real_time.check(psa)
    assert set(row.types) == set(real_time.TYPES)
    found = registered(rig)
    assert len(found) == len(real_time.TYPES)
    assert all(
        not one["inactiveFlag"] and one["url"].startswith("http://localhost:8099/") for one in found
    )


def test_what_is_turned_off_while_it_is_looked_at_stays_off(rig, psa):
    real_time.switch(psa, True)
    rig.fault("psa", kind="slow", seconds=3, path="callbacks", times=1)
    with ThreadPoolExecutor(max_workers=1) as pool:
        look = pool.submit(looked_at_elsewhere, psa)
        time.sleep(1)
        row = real_time.switch(psa, False)
        assert row.types == []
        look.result(30)
    row.refresh_from_db()
    assert (row.wanted, row.types, row.address) == (False, [], "")
    assert registered(rig) == []


def looked_at_elsewhere(psa):
    try:
        real_time.check(psa)
    finally:
        connection.close()


def test_callbacks_are_offered_where_the_site_can_call_us(rig, psa, settings):
    assert real_time.of(psa).wanted is False  # on loopback only when asked for
    settings.PUBLIC_URL = "https://psaltery.example.com"
    assert real_time.unreachable(psa) == ""
    RealTime.objects.all().delete()
    assert real_time.of(psa).wanted is True
    for address in ("http://psaltery.example.com", "https://10.0.0.4", "https://psaltery.lan"):
        settings.PUBLIC_URL = address
        assert "PSALTERY_PUBLIC_URL" in real_time.unreachable(psa)
        with pytest.raises(BadSettings):
            real_time.switch(psa, True)


def test_nothing_is_registered_by_a_connection_that_only_reads(rig, psa, settings):
    service.set_read_only(psa, True)
    with pytest.raises(BadSettings, match="read only"):
        real_time.switch(psa, True)
    settings.PUBLIC_URL = "https://psaltery.example.com"
    RealTime.objects.all().delete()
    assert real_time.of(psa).wanted is False


def test_what_was_called_about_is_read_again(rig, psa):
    """Nothing of the payload but the id is believed; a deletion is confirmed by a read."""
    rig.sync()
    row = rig.psa_documents("invoices")[0] if rig.psa_documents("invoices") else None
    invoice = row or rig.close_invoice(company=2, lines=[{"item": "MON-27"}])
    _called(psa, invoice["id"], "deleted")
    assert called.read_called(rig.site.pk) is False
    document = Document.objects.get(external_id=str(invoice["id"]))
    assert not document.gone
    httpx2.delete(
        f"{rig.psa_url}/v4_6_release/apis/3.0/finance/invoices/{invoice['id']}", auth=_auth()
    )
    assert not ConnectWiseEvent.objects.filter(handled_at__isnull=True).exists()


def _auth():
    return httpx2.BasicAuth("harbour+public", "private-key-1")


def _called(connection, record_id, action="updated"):
    from psaltery.kit.clock import now

    ConnectWiseEvent.objects.create(
        event_id=f"{record_id}{action}{time.monotonic_ns()}"[:64],
        connection=connection,
        category="Invoice",
        action=action,
        external_id=str(record_id),
        outcome="woke",
        received_at=now(),
    )
