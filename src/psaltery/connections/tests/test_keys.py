"""A connection with keys, against the ConnectWise sandbox over real HTTP."""

import pytest

from psaltery.adapters.budget import Priority
from psaltery.adapters.connectwise.sandbox import ApiKey, Sandbox
from psaltery.adapters.errors import BadSettings, NeedsReconnect, TryLater
from psaltery.audit.models import Entry
from psaltery.connections import service
from psaltery.connections.models import Budget, Connection, Feed, Organisation, Usage

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def site():
    sandbox = Sandbox(companies=3, keys=(ApiKey("public", "private-key-1"),))
    server = sandbox.start()
    yield server
    server.stop()
    sandbox.close()


def fields(sandbox, **changes):
    return {
        "site": sandbox.url,
        "company": "harbour",
        "public_key": "public",
        "private_key": "private-key-1",
        "client_id": "00000000-0000-0000-0000-000000000001",
        **changes,
    }


def add(sandbox, **changes):
    return service.add("connectwise", "Our PSA", fields(sandbox, **changes))


def test_a_site_is_connected_with_one_organisation_its_feeds_and_budget(site):
    connection = add(site)
    assert connection.state == Connection.State.NEW
    checks = service.connect_with_keys(connection)
    assert checks
    assert all(check.ok for check in checks), [c for c in checks if not c.ok]
    assert connection.state == Connection.State.CONNECTED
    organisation = Organisation.objects.get()
    assert organisation.chosen
    assert Feed.objects.filter(organisation=organisation, name="invoices").exists()
    assert Budget.objects.get(organisation=organisation).per_minute == 600
    psa = service.open_psa(organisation, Priority.INTERACTIVE)
    assert len(psa.pull("companies", None).records) >= 3
    assert Usage.objects.filter(organisation=organisation).exists()


def test_the_private_key_is_sealed_and_stays_out_of_the_audit_log(site):
    connection = add(site)
    service.connect_with_keys(connection)
    connection.refresh_from_db()
    assert "private-key-1" not in connection.secrets
    assert "private_key" not in connection.fields
    for entry in Entry.objects.all():
        told = " ".join([entry.request, entry.response, entry.address, entry.sentence])
        assert "private-key-1" not in told
        assert "Basic " not in told


@pytest.mark.parametrize(
    ("change", "failure", "word"),
    [
        ({"private_key": "wrong-key-12"}, NeedsReconnect, "keys"),
        ({"company": "nobody"}, (BadSettings, NeedsReconnect), "company"),
        ({"site": "http://127.0.0.1:1"}, TryLater, "reached"),
    ],
)
def test_wrong_entries_say_what_is_wrong(site, change, failure, word):
    connection = add(site, **change)
    with pytest.raises(failure, match=word):
        service.connect_with_keys(connection)
    connection.refresh_from_db()
    assert connection.state == Connection.State.NEW


def test_problems_are_found_field_by_field(site):
    service.add("connectwise", "Our PSA", fields(site))
    wrong = service.problems(
        "connectwise", "Our PSA", fields(site, company="two words", private_key="")
    )
    assert set(wrong) == {"name", "company", "private_key"}
    with pytest.raises(BadSettings):
        service.add("connectwise", "", fields(site))


def test_refused_keys_during_a_run_mark_the_connection_and_new_ones_mend_it(site):
    connection = add(site)
    service.connect_with_keys(connection)
    organisation = Organisation.objects.select_related("connection").get()
    feeds = Feed.objects.count()
    service.note_failure(organisation, NeedsReconnect("Keys refused.", code="keys_refused"))
    connection.refresh_from_db()
    assert (connection.state, connection.reason_code) == ("needs_reconnect", "keys_refused")
    with pytest.raises(NeedsReconnect, match="Keys refused"):
        service.open_psa(Organisation.objects.select_related("connection").get())
    service.reconnect_with(connection, fields(site, private_key=""))
    service.connect_with_keys(connection)
    assert Organisation.objects.get().pk == organisation.pk
    assert Feed.objects.count() == feeds


def test_a_missing_permission_marks_nothing(site):
    connection = add(site)
    service.connect_with_keys(connection)
    organisation = Organisation.objects.select_related("connection").get()
    service.note_failure(organisation, BadSettings("No expenses.", which="permission"))
    connection.refresh_from_db()
    assert connection.state == Connection.State.CONNECTED


def test_disconnecting_stops_and_forgets_and_keeps(site):
    connection = add(site)
    service.connect_with_keys(connection)
    effects = service.disconnect_effects(connection)
    assert effects.organisations == 1
    assert effects.feeds == Feed.objects.count()
    service.disconnect(connection)
    connection.refresh_from_db()
    assert connection.state == Connection.State.DISCONNECTED
    assert connection.secrets == ""
    assert Organisation.objects.count() == 1
    assert not Feed.objects.filter(due_at__isnull=False).exists()
    with pytest.raises(BadSettings, match="Private key"):
        service.reconnect_with(connection, fields(site, private_key=""))
