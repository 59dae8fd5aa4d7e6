"""A connection that breaks during a run, over real HTTP: told once, and got over.

Consents, keys and fields that are wrong from the start are in connections/tests. Here the whole
engine meets them: nothing is lost, nothing is stuck, and the other organisations go on.
"""

from decimal import Decimal

import httpx2
import pytest

from psaltery.connections import service
from psaltery.connections.models import Connection, Organisation
from psaltery.desk.models import Document
from psaltery.posting.models import Link
from psaltery.review.models import Card
from psaltery.testing.http_calls import call
from psaltery.testing.rig import KEYS, REDIRECT, Rig
from psaltery.testing.situations import (
    all_in_step,
    at,
    close,
    close_everywhere,
    later,
    states,
    the_card,
    with_few_feeds,
)
from psaltery.testing.tallies import paid_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(900)]


@pytest.fixture
def rig(rig: Rig) -> Rig:
    return with_few_feeds(rig)


def reconnect(rig: Rig) -> None:
    address = service.begin_consent(rig.connection, redirect_uri=REDIRECT)
    answer = httpx2.get(f"{address}&sandbox_auto=allow")
    service.complete_consent(answer.headers["location"], connection=rig.connection)


def test_a_consent_revoked_during_a_run(rig: Rig, worker):
    later(worker)
    invoices = close_everywhere(rig)
    rig.fault("books", method="PUT", path="/Invoices", kind="revoke")
    later(worker)
    rig.connection.refresh_from_db()
    assert rig.connection.state == Connection.State.NEEDS_RECONNECT
    assert "econnect" in rig.connection.reason
    assert {card.code for card in Card.objects.filter(state="open")} == {"token_revoked"}
    # The PSA is read on meanwhile, and nobody asks the books in vain.
    invoices.append(close(rig))
    asked = len(rig.books_sandbox.app.requests)
    later(worker)
    assert len(rig.books_sandbox.app.requests) == asked
    assert Document.objects.count() == len(invoices)
    assert "in_step" not in states().values()
    reconnect(rig)
    later(worker)
    all_in_step(rig, invoices)


def test_a_tenant_removed_during_a_run(rig: Rig, worker):
    later(worker)
    gone = at(rig, "Adelaide")
    call(f"{rig.books_url}/_control/disconnect", "POST", {"tenant": gone.external_id})
    invoices = close_everywhere(rig)
    later(worker)
    gone.refresh_from_db()
    assert gone.state == Organisation.State.REMOVED
    card = the_card("tenant_removed")
    assert card.organisation == gone
    assert sorted(states().values()) == ["in_step", "in_step", "waiting"]
    reconnect(rig)
    later(worker)
    all_in_step(rig, invoices)


def test_keys_that_the_psa_takes_back_during_a_run(rig: Rig, worker):
    later(worker)
    invoices = close_everywhere(rig)
    behave(rig, refused_keys=[KEYS.public])
    later(worker)
    assert the_card("keys_refused").organisation == rig.site
    rig.site.connection.refresh_from_db()
    assert rig.site.connection.state == Connection.State.NEEDS_RECONNECT
    assert "Reconnect" in rig.site.connection.reason
    # The books are read on meanwhile, and nobody asks the PSA in vain.
    asked = len(rig.psa_sandbox.control.requests)
    later(worker)
    assert len(rig.psa_sandbox.control.requests) == asked
    behave(rig, refused_keys=[])
    assert all(check.ok for check in service.examine(rig.site.connection))
    later(worker)
    all_in_step(rig, invoices)


def behave(rig: Rig, **switches) -> None:
    call(f"{rig.psa_url}/_control/behaviour", "POST", switches)


def permit(rig: Rig, module: str, **levels) -> None:
    body = {"public_key": KEYS.public, "module": module, **levels}
    call(f"{rig.psa_url}/_control/permissions", "POST", body)


def module_of(needle: str) -> str:
    from psaltery.adapters.connectwise.sandbox.resources import MODULES

    return next(module for module in MODULES if needle in module.lower())


def test_keys_that_lose_the_permission_to_read_invoices(rig: Rig, worker):
    later(worker)
    invoices = close_everywhere(rig)
    permit(rig, module_of("invoic"), inquire=False)
    later(worker)
    card = the_card("permission_missing")
    assert "lacks" in card.sentence
    assert card.subject_ref == "feed:invoices"
    rig.site.connection.refresh_from_db()
    assert rig.site.connection.state == Connection.State.CONNECTED
    # It stays the same card while the other feeds of the site work.
    later(worker)
    assert the_card("permission_missing").pk == card.pk
    permit(rig, module_of("invoic"), inquire=True)
    later(worker)
    all_in_step(rig, invoices)


def test_keys_without_the_permission_to_write_payments(rig: Rig, worker):
    invoices = close_everywhere(rig)
    later(worker)
    permit(rig, module_of("invoic"), add=False)
    link = Link.objects.first()
    rig.pay(link, Decimal("50"), str(link.document.issued_on))
    later(worker)
    card = the_card("permission_missing")
    assert card.subject_ref == "payments"
    assert set(states().values()) == {"in_step"}
    permit(rig, module_of("invoic"), add=True)
    later(worker)
    paid_once(rig.psa_url, {link.number: Decimal("50")})
    all_in_step(rig, invoices)


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_clock_that_is_off_by_ten_minutes(rig: Rig, worker, minutes):
    for url in (rig.psa_url, rig.books_url):
        call(f"{url}/_control/clock", "POST", {"offset_seconds": minutes * 60})
    later(worker)
    invoices = close_everywhere(rig)
    later(worker)
    all_in_step(rig, invoices)
    link = Link.objects.first()
    rig.pay(link, Decimal("50"), str(link.document.issued_on))
    later(worker)
    paid_once(rig.psa_url, {link.number: Decimal("50")})
