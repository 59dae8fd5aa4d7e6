"""Consent to Xero's sandbox over real HTTP: the good path, and each way to get it wrong."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import time_machine

from psaltery.adapters.budget import Priority
from psaltery.adapters.errors import BadSettings, NeedsReconnect
from psaltery.audit.models import Entry
from psaltery.connections import service, vault
from psaltery.connections.models import (
    Budget,
    Connection,
    ConsentRequest,
    Feed,
    Organisation,
    TokenSet,
)
from psaltery.connections.tests.conftest import APP, CALLBACK
from psaltery.kit.clock import now


def begin(name="Books", values=APP):
    connection = service.add("xero", name, values)
    return connection, service.begin_consent(connection, redirect_uri=CALLBACK)


def test_one_consent_gives_every_organisation_and_no_practice(connect):
    connection = connect()
    assert connection.state == Connection.State.CONNECTED
    assert connection.organisations.count() == 3
    assert not connection.organisations.filter(chosen=True).exists()
    assert Feed.objects.count() == 0
    assert "@" in connection.authorised_by
    assert "accounting.invoices" in connection.scopes


def test_the_address_asks_with_state_pkce_and_granular_scopes(xero):
    _, address = begin()
    query = {name: value[0] for name, value in parse_qs(urlsplit(address).query).items()}
    assert query["code_challenge_method"] == "S256"
    assert query["redirect_uri"] == CALLBACK
    assert len(query["state"]) >= 43
    assert "accounting.transactions" not in query["scope"]
    assert "offline_access" in query["scope"].split()


def test_choosing_makes_feeds_and_a_budget_and_pins_at_the_first_look(connect):
    connection = connect()
    first, second, _ = connection.organisations.order_by("name")
    service.choose(connection, [first, second])
    assert Feed.objects.filter(organisation=first).count() == 7
    assert Budget.objects.count() == 2
    checks = service.examine(connection)
    assert all(check.ok for check in checks), checks
    first.refresh_from_db()
    assert first.short_code.startswith("!")
    assert first.base_currency in ("AUD", "NZD")
    service.choose(connection, [second])
    first.refresh_from_db()
    assert not first.chosen
    assert Feed.objects.filter(organisation=first).count() == 7
    with pytest.raises(BadSettings, match="at least one"):
        service.choose(connection, [])


def test_an_organisation_that_answers_as_another_is_not_written_to(xero, connect):
    connection = connect(choose=True)
    service.examine(connection)
    organisation = connection.organisations.first()
    xero.control("organisations", tenant=organisation.external_id, BaseCurrency="GBP")
    checks = service.examine(connection)
    assert [check.ok for check in checks].count(False) == 1
    organisation = Organisation.objects.select_related("connection").get(pk=organisation.pk)
    assert organisation.state == Organisation.State.MISMATCH
    assert "GBP" in service.writes_blocked(organisation)
    xero.control("organisations", tenant=organisation.external_id, BaseCurrency="AUD")
    others = Organisation.objects.exclude(pk=organisation.pk).select_related("connection")
    assert [service.writes_blocked(other) for other in others] == ["", ""]


def test_a_wrong_secret_says_so_and_can_be_put_right(xero):
    connection, address = begin(values={**APP, "client_secret": "wrong-secret-1"})
    with pytest.raises(BadSettings) as wrong:
        service.complete_consent(xero.consent(address))
    assert wrong.value.which == "client_secret"
    connection.refresh_from_db()
    assert connection.state == Connection.State.NEW
    service.reconnect_with(connection, APP)
    address = service.begin_consent(connection, redirect_uri=CALLBACK)
    assert service.complete_consent(xero.consent(address)).state == Connection.State.CONNECTED


def test_a_declined_consent_connects_nothing(xero):
    _, address = begin()
    with pytest.raises(BadSettings, match="declined") as declined:
        service.complete_consent(xero.consent(address, "cancel"))
    assert declined.value.which == "consent"
    assert TokenSet.objects.count() == 0


def test_a_state_that_does_not_match_is_refused(xero):
    _, address = begin()
    back = xero.consent(address)
    state = parse_qs(urlsplit(back).query)["state"][0]
    for forged in (back.replace(state, "forged"), back.replace(f"&state={state}", ""), CALLBACK):
        with pytest.raises(BadSettings) as refused:
            service.complete_consent(forged)
        assert refused.value.which == "state"
    service.complete_consent(back)


def test_a_consent_counts_once_and_for_minutes_only(xero):
    _, address = begin()
    back = xero.consent(address)
    service.complete_consent(back)
    with pytest.raises(BadSettings, match="already"):
        service.complete_consent(back)
    _, address = begin("Other")
    back = xero.consent(address)
    with time_machine.travel(now() + timedelta(minutes=16)), pytest.raises(BadSettings) as late:
        service.complete_consent(back)
    assert "too long ago" in str(late.value)


def test_a_consent_belongs_to_the_session_and_connection_that_began_it(xero):
    connection = service.add("xero", "Books", APP)
    other = service.add("xero", "Other", APP)
    address = service.begin_consent(connection, redirect_uri=CALLBACK, session="mine")
    back = xero.consent(address)
    with pytest.raises(BadSettings, match="another browser"):
        service.complete_consent(back, session="yours")
    with pytest.raises(BadSettings, match="begun for Books"):
        service.complete_consent(back, session="mine", connection=other)
    assert service.complete_consent(back, session="mine").pk == connection.pk


def test_a_code_used_twice_at_the_vendor_says_to_begin_again(xero):
    _, address = begin()
    back = xero.consent(address)
    code = parse_qs(urlsplit(back).query)["code"][0]
    request = ConsentRequest.objects.get()
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": vault.open_verifier(request),
    }
    auth = ("sandbox-client", "sandbox-secret")
    assert httpx2.post(f"{xero.url}/connect/token", data=form, auth=auth).status_code == 200
    with pytest.raises(BadSettings, match="Start the consent again") as used:
        service.complete_consent(back)
    assert used.value.which == "code"


def test_a_redirect_that_differs_by_a_slash(xero):
    connection, address = begin()
    back = xero.consent(address)
    with pytest.raises(BadSettings, match="last character") as differs:
        service.complete_consent(back.replace("/callback?", "/callback/?"))
    assert differs.value.which == "redirect_uri"
    # Registered otherwise at the vendor: its own page says so, nobody comes back.
    address = service.begin_consent(connection, redirect_uri=CALLBACK + "/")
    answer = httpx2.get(address)
    assert answer.status_code == 400
    assert "redirect_uri" in answer.text


def test_a_public_app_needs_no_secret(connect):
    values = {"mode": "pkce", "client_id": "sandbox-public"}
    assert connect(values=values).organisations.count() == 3


def test_one_token_set_serves_two_connections_of_the_same_person(connect):
    one = connect("One")
    other = connect("Other")
    assert one.refresh_from_db() is None
    assert one.token_set_id == other.token_set_id
    service.choose(one, list(one.organisations.all()))
    with pytest.raises(BadSettings, match="connection One"):
        service.choose(other, list(other.organisations.all())[:1])


def test_a_tenant_removed_at_the_vendor_leaves_the_others_alone(xero, connect):
    connection = connect(choose=True)
    gone = connection.organisations.order_by("name").first()
    xero.control("disconnect", tenant=gone.external_id)
    books = service.open_books(gone, Priority.INTERACTIVE)
    with pytest.raises(NeedsReconnect) as removed:
        books.organisation()
    assert removed.value.code == "tenant_removed"
    service.note_failure(gone, removed.value)
    gone.refresh_from_db()
    assert gone.state == Organisation.State.REMOVED
    assert "Reconnect" in gone.reason
    connection.refresh_from_db()
    assert connection.state == Connection.State.CONNECTED
    checks = service.examine(connection)
    assert sorted(check.ok for check in checks) == [False, True, True, True]
    # Consent again brings it back, with everything it had.
    address = service.begin_consent(connection, redirect_uri=CALLBACK)
    service.complete_consent(xero.consent(address))
    gone.refresh_from_db()
    assert gone.state == Organisation.State.ACTIVE
    assert gone.chosen


def test_disconnecting_gives_the_consent_back(xero, connect):
    connection = connect(choose=True)
    service.disconnect(connection)
    assert any(request["path"] == "/connect/revocation" for request in xero.requests())
    tokens = TokenSet.objects.get()
    assert tokens.refresh == ""
    assert connection.organisations.count() == 3
    organisation = Organisation.objects.select_related("connection").first()
    with pytest.raises(NeedsReconnect):
        service.open_books(organisation)


def test_disconnecting_one_of_two_leaves_the_other_its_organisations(xero, connect):
    one, other = connect("One"), connect("Other")
    first, second, _ = one.organisations.order_by("name")
    service.choose(one, [first])
    service.choose(other, [other.organisations.get(external_id=second.external_id)])
    effects = service.disconnect_effects(one)
    assert effects.shares_consent_with == ("Other",)
    service.disconnect(one)
    assert all(check.ok for check in service.examine(Connection.objects.get(pk=other.pk)))
    names = {
        o.external_id: o.state for o in Connection.objects.get(pk=other.pk).organisations.all()
    }
    assert names[first.external_id] == Organisation.State.REMOVED
    assert names[second.external_id] == Organisation.State.ACTIVE


def test_no_secret_stands_in_the_audit_log(xero, connect):
    connect(choose=True)
    held = TokenSet.objects.get()
    secrets = [
        vault.open_token(held, "access"),
        vault.open_token(held, "refresh"),
        "sandbox-secret",
    ]
    entries = list(Entry.objects.all())
    assert {"oauth.exchange", "oauth.keys"} <= {entry.operation for entry in entries}
    for entry in entries:
        told = " ".join([entry.request, entry.response, entry.address, entry.sentence])
        assert not [secret for secret in secrets if secret in told], entry.operation


def test_a_custom_connection_needs_no_person(xero):
    organisation = xero.sandbox.organisations()[0]
    xero.control(
        "clients",
        id="custom-app-1",
        secret="custom-secret",
        custom_connection=organisation["tenantId"],
    )
    values = {"mode": "custom", "client_id": "custom-app-1", "client_secret": "custom-secret"}
    connection = service.connect_app(service.add("xero", "Custom", values))
    assert connection.state == Connection.State.CONNECTED
    [found] = connection.organisations.all()
    service.choose(connection, [found])
    assert all(check.ok for check in service.examine(connection))
    TokenSet.objects.update(access_expires_at=now())
    books = service.open_books(Organisation.objects.select_related("connection").get())
    assert books.organisation().base_currency
    service.disconnect(connection)
