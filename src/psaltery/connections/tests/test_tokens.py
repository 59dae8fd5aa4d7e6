"""Tokens that are renewed once for all processes, and what a revoked consent does."""

import subprocess
import sys
import threading
from datetime import timedelta

import httpx2
import pytest
import time_machine
from django.db import connection as database

from psaltery.adapters.budget import Priority
from psaltery.adapters.errors import BadSettings, NeedsReconnect, TryLater
from psaltery.adapters.oauth import Tokens, TokenServer
from psaltery.connections import service, vault
from psaltery.connections.models import Connection, Organisation, TokenSet
from psaltery.connections.opening import oauth_app
from psaltery.connections.tests.conftest import APP
from psaltery.connections.tokens import forget, token_set_for
from psaltery.kit.clock import now


def age(seconds=10):
    TokenSet.objects.update(access_expires_at=now() - timedelta(seconds=seconds))


def refreshes(xero):
    return [r for r in xero.requests() if r["path"] == "/connect/token"][1:]


def books():
    organisation = Organisation.objects.select_related("connection").order_by("name").first()
    return service.open_books(organisation, Priority.INTERACTIVE)


def test_an_aged_token_is_renewed_before_the_call(xero, connect):
    connect(choose=True)
    before = TokenSet.objects.get()
    age()
    books().organisation()
    after = TokenSet.objects.get()
    assert len(refreshes(xero)) == 1
    assert vault.open_token(after, "access") != vault.open_token(before, "access")
    assert vault.open_token(after, "previous_refresh") == vault.open_token(before, "refresh")
    assert after.refresh_expires_at > now() + timedelta(days=59)


def test_a_token_that_the_vendor_finds_aged_is_renewed_after_its_401(xero, connect):
    connect(choose=True)
    reader = books()
    reader.organisation()
    xero.control("clock", offset_seconds=1801)
    reader.organisation()
    assert len(refreshes(xero)) == 1


RENEW = """
from psaltery.adapters.budget import Priority
from psaltery.connections import service
from psaltery.connections.models import Organisation
organisation = Organisation.objects.select_related("connection").order_by("name").first()
books = service.open_books(organisation, Priority.INTERACTIVE)
input()
print(books.organisation().name)
"""


def test_many_processes_renew_once(xero, connect, child):
    connect(choose=True)
    age()
    address = {f"PSALTERY_XERO_{name}_URL": xero.url for name in ("API", "IDENTITY", "LOGIN")}
    address["PSALTERY_SEAL_KEYS"] = seal_keys()
    children = [child(RENEW, **address) for _ in range(4)]
    for process in children:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in children:
        told, trouble = process.communicate(timeout=60)
        assert process.returncode == 0, trouble
        assert told.strip()
    assert len(refreshes(xero)) == 1


def seal_keys():
    import base64

    from django.conf import settings

    return ",".join(f"{k}:{base64.b64encode(v).decode()}" for k, v in settings.SEAL_KEYS.items())


def test_an_answer_lost_on_its_way_is_asked_for_again(xero, connect):
    connect(choose=True)
    age()
    held = vault.open_token(TokenSet.objects.get(), "refresh")
    xero.control("faults", method="POST", path="/connect/token", kind="lost_answer", times=1)
    with pytest.raises(TryLater):
        books().organisation()
    assert vault.open_token(TokenSet.objects.get(), "refresh") == held
    books().organisation()
    assert Connection.objects.get().state == Connection.State.CONNECTED


def test_the_replaced_token_helps_out_within_half_an_hour(xero, connect):
    connect(choose=True)
    age()
    books().organisation()
    tokens = TokenSet.objects.get()
    # Our disk lost the newest refresh token: what is stored as current is nonsense.
    tokens.refresh = vault.seal_token(tokens.pk, "refresh", "nonsense")
    tokens.access_expires_at = now()
    tokens.save()
    books().organisation()
    assert vault.open_token(TokenSet.objects.get(), "refresh") != "nonsense"


def test_a_revoked_consent_marks_the_connection_and_says_why(xero, connect):
    connect(choose=True)
    reader = books()
    reader.organisation()
    xero.control("faults", path=".*/Organisation", kind="revoke", times=1)
    with pytest.raises(NeedsReconnect) as revoked:
        reader.organisation()
    assert revoked.value.code == "token_revoked"
    connection = Connection.objects.get()
    assert (connection.state, connection.reason_code) == ("needs_reconnect", "token_revoked")
    assert "Reconnect" in connection.reason
    asked = len(refreshes(xero))
    with pytest.raises(NeedsReconnect):
        books()
    assert len(refreshes(xero)) == asked  # nobody asks again until a person consents


def test_a_secret_that_was_replaced_at_the_vendor_names_the_field(xero, connect):
    connection = connect(choose=True)
    service.reconnect_with(connection, {**APP, "client_secret": "another-secret"})
    age()
    with pytest.raises(BadSettings):
        books().organisation()
    connection.refresh_from_db()
    assert connection.reason_code == "bad_client_secret"


def test_idle_consents_are_kept_alive(xero, connect):
    connect(choose=True)
    assert service.keep_alive().renewed == 0
    TokenSet.objects.update(refreshed_at=now() - timedelta(days=8))
    assert service.keep_alive().renewed == 1
    assert service.keep_alive().renewed == 0


def test_a_consent_that_aged_out_is_told_apart(xero, connect):
    connect(choose=True)
    TokenSet.objects.update(refreshed_at=now() - timedelta(days=61))
    xero.control("clock", offset_seconds=61 * 86400)
    told = service.keep_alive()
    assert told.refused == 1
    assert Connection.objects.get().state == Connection.State.NEEDS_RECONNECT


def test_secrets_move_to_a_new_key(xero, connect, settings):
    connect(choose=True)
    old = dict(settings.SEAL_KEYS)
    vault.key_ring.cache_clear()
    settings.SEAL_KEYS = {"k-new": b"n" * 32, **old}
    assert vault.reseal_all() == 2
    vault.key_ring.cache_clear()
    settings.SEAL_KEYS = {"k-new": b"n" * 32}
    books().organisation()
    vault.key_ring.cache_clear()


@pytest.fixture
def xero_elsewhere(transactional_db, settings):
    """The sandbox in a process of its own, whose clock does not travel with ours."""
    process = subprocess.Popen(
        [sys.executable, "-m", "psaltery.adapters.xero.sandbox"], stdout=subprocess.PIPE, text=True
    )
    url = process.stdout.readline().split()[-1]
    settings.XERO_API_URL = settings.XERO_IDENTITY_URL = settings.XERO_LOGIN_URL = url
    yield url
    process.terminate()
    process.communicate()


def test_a_clock_that_is_off_stops_nothing_and_is_told(xero_elsewhere):
    connection = service.add("xero", "Books", APP)
    address = service.begin_consent(connection, redirect_uri="http://localhost/callback")
    back = httpx2.get(f"{address}&sandbox_auto=allow").headers["location"]
    with time_machine.travel(now() + timedelta(minutes=10)):
        connection = service.complete_consent(back)
        service.choose(connection, list(connection.organisations.all()))
        *checks, clock = service.examine(connection)
        assert all(check.ok for check in checks)
        assert (clock.name, clock.ok) == ("Clock", False)
        assert "10 minutes ahead" in clock.detail
    checks = service.examine(connection)
    assert all(check.ok for check in checks), checks


def consented(access: str) -> Tokens:
    return Tokens(
        access=access,
        refresh="a new refresh token",
        access_expires_at=now() + timedelta(minutes=30),
        user=TokenSet.objects.get().external_user,
    )


def during_a_renewal(monkeypatch, act):
    """`act`, on a connection of its own, while the vendor is asked for new tokens."""
    ask, threads = TokenServer.refresh, []

    def run():
        try:
            act()
        finally:
            database.close()

    def asked(self, token):
        threads.append(threading.Thread(target=run))
        threads[0].start()
        threads[0].join(0.5)
        return ask(self, token)

    monkeypatch.setattr(TokenServer, "refresh", asked)
    return threads


def test_a_renewal_does_not_overwrite_a_new_consent(xero, connect, monkeypatch):
    connection = connect(choose=True)
    app = oauth_app(connection)
    age()
    threads = during_a_renewal(
        monkeypatch, lambda: token_set_for("xero", app, consented("a new access token"))
    )
    books().organisation()
    threads[0].join(10)
    tokens = TokenSet.objects.get()
    assert vault.open_token(tokens, "access") == "a new access token"
    assert vault.open_token(tokens, "refresh") == "a new refresh token"


def test_a_renewal_does_not_bring_back_what_was_forgotten(xero, connect, monkeypatch):
    connection = connect(choose=True)
    age()
    threads = during_a_renewal(monkeypatch, lambda: forget(connection.token_set))
    books().organisation()
    threads[0].join(10)
    tokens = TokenSet.objects.get()
    assert (tokens.access, tokens.refresh, tokens.previous_refresh) == ("", "", "")
    assert tokens.revoked_at is not None
