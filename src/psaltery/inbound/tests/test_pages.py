"""The webhook pages in Chromium, and what they do."""

from datetime import timedelta

import pytest
from playwright.sync_api import expect

from psaltery.connections.models import Feed
from psaltery.inbound import keys, queries
from psaltery.inbound.models import Gap, Refusal, SigningKey, XeroEvent
from psaltery.inbound.tests.conftest import KEY, event
from psaltery.kit.clock import now
from psaltery.sync.arrivals import look_for_gaps
from psaltery.sync.replay import replay
from psaltery.testing.signed_in import signed_in_as

OTHER = "whk-" + "y8" * 40


@pytest.fixture
def signed_in(live_app, page, settings):
    """A page of an administrator who is signed in."""
    from psaltery.accounts.models import Person, Role

    ann = Person.objects.create_user("ann@example.com", name="Ann", role=Role.ADMIN)
    return signed_in_as(ann, page, live_app.url)


@pytest.mark.journey
def test_a_key_is_pasted_tested_and_replaced(live_app, signed_in, books, deliver, console):
    page, connection = signed_in, books.connection
    keys.remove(keys.of(connection)[0])
    page.goto(f"{live_app.url}/connections/{connection.pk}/")
    card = page.get_by_label("Webhooks")
    expect(card.get_by_text("No signing key is stored")).to_be_visible()
    expect(card.get_by_text(f"{live_app.url}/api/webhooks/xero")).to_be_visible()
    page.get_by_label("Signing key").fill(KEY)
    page.get_by_role("button", name="Store the key").click()
    expect(page.get_by_text("is stored and counts at once")).to_be_visible()
    assert KEY not in page.content()
    assert KEY not in SigningKey.objects.get().sealed
    page.get_by_role("button", name="Test").click()
    expect(page.get_by_text(f"Delivery signed with …{KEY[-4:]}")).to_be_visible()
    expect(page.get_by_text("Answered by 401")).to_be_visible()
    # Loopback is no address that Xero could call, and the test says so.
    expect(page.get_by_text("https on port 443")).to_be_visible()
    deliver([event("tenant-1", 1), event("tenant-1", 2, "CONTACT"), event("elsewhere", 3)])
    page.reload()
    expect(page.get_by_text("Deliveries arrive and are signed right.")).to_be_visible()
    expect(page.get_by_role("cell", name="Not a synced organisation")).to_be_visible()
    page.get_by_label("Signing key").fill(OTHER)
    page.get_by_role("button", name="Add the next key").click()
    expect(page.get_by_text(f"Key …{OTHER[-4:]}")).to_be_visible()
    page.get_by_role("button", name="Remove").first.click()
    page.get_by_role("button", name="Remove the key").first.click()
    expect(page.get_by_text("is removed")).to_be_visible()
    assert [row.hint for row in keys.of(connection)] == [OTHER[-4:]]
    assert [text for text in console if "favicon" not in text] == []


@pytest.mark.journey
def test_found_events_are_replayed(live_app, signed_in, books, deliver):
    page, connection = signed_in, books.connection
    deliver([event("tenant-1", 1), event("tenant-1", 2, "CONTACT")])
    deliver([event("tenant-1", 3)], key=OTHER)
    page.goto(f"{live_app.url}/connections/{connection.pk}/")
    page.get_by_role("link", name="See what to do").click()
    expect(page.get_by_label("Webhooks").get_by_text("Signature wrong")).to_be_visible()
    page.goto(f"{live_app.url}/connections/{connection.pk}/webhooks/?category=CONTACT")
    page.get_by_role("button", name="Replay…").click()
    page.get_by_role("dialog").get_by_role("button", name="Replay").click()
    expect(page.get_by_text("1 events are replayed: 1 feeds are read again.")).to_be_visible()
    assert XeroEvent.objects.get(replayed_at__isnull=False).category == "CONTACT"


def test_a_wrong_key_is_told_with_what_to_do(books, deliver):
    connection = books.connection
    assert queries.standing(connection).word == "Waiting"
    deliver([])
    deliver([], signed="AAAA")  # as Xero's probe
    assert queries.standing(connection).word == "Waiting"
    deliver([event("tenant-1", 1)])
    assert queries.standing(connection).word == "On"
    deliver([event("tenant-1", 2)], key=OTHER)
    told = queries.standing(connection)
    assert (told.word, told.tone) == ("Signature wrong", "bad")
    assert "paste it here" in told.remedy
    assert queries.wrongly_signed() == [connection]
    keys.add(connection, OTHER)
    deliver([event("tenant-1", 2)], key=OTHER)
    assert queries.standing(connection).word == "On"
    assert queries.wrongly_signed() == []
    assert {(reason, count) for reason, count, _ in queries.reasons(connection)} == {
        ("wrong signature on an empty delivery", 1),
        ("wrong signature", 1),
    }
    today = queries.by_day(connection)[-1]
    assert (today.accepted, today.refused) == (2, 2)
    Refusal.objects.update(last_at=now() - timedelta(days=2), hour=now() - timedelta(days=2))
    XeroEvent.objects.all().delete()
    assert queries.standing(connection).word == "Waiting"


def test_events_are_replayed_from_before_they_came(books, deliver):
    deliver([event("tenant-1", 1), event("tenant-1", 2, "CREDITNOTE")])
    later = '{"since":"2026-11-21T00:00:00"}'
    Feed.objects.filter(organisation=books).update(cursor=later)
    Feed.objects.filter(name="payments").update(state="running")
    done = replay(books.connection, XeroEvent.objects.all())
    assert (done.events, done.feeds, done.busy) == (2, 2, 1)
    cursors = dict(Feed.objects.values_list("name", "cursor"))
    assert cursors["invoices"] == '{"since":"2026-11-20T08:57:00"}'
    assert cursors["credit_notes"] == '{"since":"2026-11-20T08:57:00"}'
    assert cursors["payments"] == cursors["contacts"] == later


def test_deliveries_that_never_came_are_noticed_once(books, deliver):
    for number in (10, 11, 14, 13, 20):
        deliver([event("tenant-1", number)], first=number, last=number)
    look_for_gaps(0)
    assert not Gap.objects.exists()  # they may still be under way
    XeroEvent.objects.update(received_at=now() - timedelta(minutes=3))
    look_for_gaps(0)
    assert sorted(Gap.objects.values_list("after", "before")) == [(11, 13), (14, 20)]
    assert [gap.missing for gap in Gap.objects.order_by("after")] == [1, 5]
    look_for_gaps(0)
    assert Gap.objects.count() == 2


def test_keys_are_sealed_anew_and_forgotten_on_disconnect(books, monkeypatch):
    from psaltery.connections import vault
    from psaltery.inbound.service import leave
    from psaltery.kit.sealing import KeyRing

    old = vault.key_ring()
    assert keys.reseal_all() == 0
    newer = {"k9": b"9" * 32}
    both = KeyRing(newer | {old.current: old_key()})
    monkeypatch.setattr(keys, "key_ring", lambda: both)
    assert keys.reseal_all() == 1
    assert SigningKey.objects.get().sealed.startswith("v1:k9:")
    assert keys.known("xero", fresh=True)[0].secret == KEY
    leave(books.connection)
    assert not SigningKey.objects.exists()


def old_key():
    from django.conf import settings

    return next(iter(settings.SEAL_KEYS.values()))


@pytest.mark.parametrize("role", ["viewer", "bookkeeper"])
def test_only_administrators_change_keys(client, books, role):
    from psaltery.accounts.models import Person

    bob = Person.objects.create_user("bob@example.com", name="Bob", role=role)
    client.force_login(bob, backend="allauth.account.auth_backends.AuthenticationBackend")
    place = f"/connections/{books.connection_id}/webhooks/"
    assert client.get(place).status_code == 200
    assert client.post(f"{place}keys/", {"key": OTHER}).status_code == 403
    assert client.post(f"{place}keys/{keys.of(books.connection)[0].pk}/remove/").status_code == 403
    assert client.post(f"{place}real-time/").status_code == 403
    replayed = client.post(f"{place}replay/").status_code
    assert replayed == (403 if role == "viewer" else 302)
    assert len(keys.of(books.connection)) == 1


@pytest.mark.parametrize("key", ["", "short", "kéy with letters that no key has"])
def test_what_is_no_key_is_not_stored(client, books, key):
    from psaltery.accounts.models import Person

    ann = Person.objects.create_user("ann@example.com", name="Ann", role="admin")
    client.force_login(ann, backend="allauth.account.auth_backends.AuthenticationBackend")
    place = f"/connections/{books.connection_id}/webhooks/"
    client.post(f"{place}keys/", {"key": key})
    client.post(f"{place}keys/", {"key": KEY})  # known already
    assert len(keys.of(books.connection)) == 1
    client.post(f"{place}keys/", {"key": OTHER})
    client.post(f"{place}keys/", {"key": OTHER + "third"})
    assert len(keys.of(books.connection)) == 2
