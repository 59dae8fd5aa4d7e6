"""Sets the demo's installation up, through the services that people's clicks go through.

Every step may be repeated: a demo that was stopped half-way goes on where it was.
"""

import time
from collections.abc import Callable, Iterable

import httpx2
from django.db import transaction

from psaltery.accounts.models import Role
from psaltery.accounts.queries import is_set_up
from psaltery.accounts.service import FirstPerson, add_person, set_up
from psaltery.adapters.connectwise.sandbox.site import DEFAULT_KEY
from psaltery.connections import service
from psaltery.connections.consent import begin_consent, callback_address, complete_consent
from psaltery.connections.models import Budget, Connection, Feed, Organisation
from psaltery.connections.organisations import choose, site_of
from psaltery.demo.money import BANK
from psaltery.demo.offices import (
    ACCOUNTS,
    ARCHIVED_ACCOUNT,
    BUYER,
    DEPARTMENTS,
    MSP,
    OFFICES,
    OLD_TAX,
    OWN_ACCOUNTS,
    PURCHASE_TAXES,
    PURCHASES,
    SYDNEY,
    TILL,
    Office,
)
from psaltery.demo.stage import CLIENT_ID, CLIENT_SECRET, Stage, StageFailed
from psaltery.kit.clock import now
from psaltery.ledger.models import LedgerAccount, LedgerTrackingOption
from psaltery.mapping.models import Mapping
from psaltery.mapping.service import add_route, set_mapping
from psaltery.posting.policy import Policy, stored_policy
from psaltery.records.books import Status

EMAIL = "admin@harbourline.example"
COLLEAGUES = (
    ("robin.marsh@harbourline.example", "Robin Marsh", Role.BOOKKEEPER),
    ("alex.tane@harbourline.example", "Alex Tane", Role.VIEWER),
)
PSA_NAME, BOOKS_NAME = "ConnectWise", "Xero"
# Short intervals, so that people see things move; 7 calls a minute to each organisation.
SECONDS = {
    "invoices": 20, "payments": 25, "contacts": 45, "credit_notes": 60, "overpayments": 90,
    "prepayments": 90, "settings": 600, "companies": 45, "tickets": 20, "time_entries": 60,
    "lookups": 900, "agreements": 120, "additions": 300, "purchase_orders": 120, "expenses": 120,
}  # fmt: skip
# The sandbox has no limit, and a quarter's history is to pass in a minute.
PSA_CALLS_A_MINUTE = 6000
WAIT_SECONDS = 180

Watch = Callable[[], None]


@transaction.atomic
def make_people(password: str) -> None:
    """The administrator and two colleagues, unless there is anybody."""
    if is_set_up():
        return
    set_up(FirstPerson(MSP, "Sam Rivera", EMAIL, password, "Australia/Sydney"))
    for address, name, role in COLLEAGUES:
        add_person(address, name, role)


def connect(stage: Stage, watch: Watch) -> None:
    """Connect both systems and map what the bookkeepers decided; `watch` is called while waiting.

    The PSA comes last: its documents are to meet books that have been read. Raises StageFailed and
    the four failures.
    """
    psa = _psa(stage)
    if psa.state == Connection.State.CONNECTED:
        return
    # The books first: posting waits until they were read, and would otherwise wait in sight.
    organisations = _books()
    wait_until_read(Feed.objects.filter(organisation__in=organisations), watch)
    for office in OFFICES:
        organisation = organisations[OFFICES.index(office)]
        _decide(organisation, office)
        add_route(psa, "location", office.name, organisation)
    _archive_account(stage, organisations[OFFICES.index(SYDNEY)])
    _start_psa(psa)


def _psa(stage: Stage) -> Connection:
    """The PSA's connection, at the address that the sandbox has today."""
    known = Connection.objects.filter(kind="connectwise").first()
    fields = {
        "site": stage.psa_url,
        "company": "harbour",
        "public_key": DEFAULT_KEY.public,
        "private_key": DEFAULT_KEY.private,
        "client_id": "00000000-0000-0000-0000-000000000001",
        "gl_coding": "no",
    }
    if known is None:
        return service.add("connectwise", PSA_NAME, fields)
    # The sandbox's port may be another one at each start.
    if known.fields.get("site") != stage.psa_url:
        service.reconnect_with(known, fields)
    return known


def _start_psa(psa: Connection) -> None:
    site = site_of(psa)
    _set_seconds(site)
    Budget.objects.filter(organisation=site).update(per_minute=PSA_CALLS_A_MINUTE)
    service.connect_with_keys(psa)


def _books() -> list[Organisation]:
    """The organisations of the three offices, in their order, chosen and being read."""
    connection = Connection.objects.filter(kind="xero").first()
    if connection is None:
        fields = {"mode": "web", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        connection = service.add("xero", BOOKS_NAME, fields)
    if connection.state != Connection.State.CONNECTED:
        connection = _consent(connection)
    found = {one.name: one for one in connection.organisations.all()}
    organisations = [found[office.organisation] for office in OFFICES]
    if not all(one.chosen for one in organisations):
        choose(connection, organisations)
    for one in organisations:
        _set_seconds(one)
    return organisations


def _consent(connection: Connection) -> Connection:
    """A person's consent; the sandbox's page is told to press its own button."""
    page = begin_consent(connection, redirect_uri=callback_address())
    answer = httpx2.get(f"{page}&sandbox_auto=allow")
    if "location" not in answer.headers:
        raise StageFailed(f"The consent page did not lead back: {answer.text[:300]}")
    return complete_consent(answer.headers["location"], connection=connection)


def _set_seconds(organisation: Organisation) -> None:
    for name, seconds in SECONDS.items():
        Feed.objects.filter(organisation=organisation, name=name).update(seconds=seconds)


def wait_until_read(feeds: Iterable[Feed], watch: Watch) -> None:
    """Until the worker has read these feeds once. Raises StageFailed after some minutes."""
    ids = [feed.pk for feed in feeds]
    until = time.monotonic() + WAIT_SECONDS
    while Feed.objects.filter(pk__in=ids, finished_at__isnull=True).exists():
        watch()
        if time.monotonic() > until:
            left = Feed.objects.filter(pk__in=ids, finished_at__isnull=True)
            words = [f"{feed.name}: {feed.failure or feed.state}" for feed in left]
            raise StageFailed(f"Not read in time: {'; '.join(words)}")
        time.sleep(0.2)


@transaction.atomic
def _decide(organisation: Organisation, office: Office) -> None:
    """An office's policies and mappings, all or none."""
    # Decided before: what somebody changed in the demo since stays.
    if Mapping.objects.filter(organisation=organisation).exists():
        return
    organisation.refresh_from_db()
    policy = Policy(
        status=Status(office.status),
        bills=office == BUYER,
        purchase_orders=office == BUYER,
        items=office == TILL,
        psa_payments=office == TILL,
    )
    organisation.settings = stored_policy(policy)
    organisation.save(update_fields=["settings"])
    for (kind, key), code in {**ACCOUNTS, **OWN_ACCOUNTS.get(office.name, {})}.items():
        set_mapping(organisation, "account", kind, key, code)
    set_mapping(organisation, "tax", "tax_code", office.taxed, office.taxed_in_books)
    set_mapping(organisation, "tax", "tax_code", office.untaxed, office.untaxed_in_books)
    set_mapping(organisation, "tax", "exempt", "", office.untaxed_in_books)
    # Mapped on purpose: the rate differs, and that is the fault that must be seen.
    if office.country == "NZ":
        set_mapping(organisation, "tax", "tax_code", OLD_TAX, office.taxed_in_books)
    if office == BUYER:
        _buy(organisation)
    if office == TILL:
        bank = LedgerAccount.objects.get(organisation=organisation, code=BANK)
        set_mapping(organisation, "payment", "any", "", bank.external_id)
    _track(organisation, office)


def _buy(organisation: Organisation) -> None:
    for (kind, key), code in PURCHASES.items():
        set_mapping(organisation, "purchase_account", kind, key, code)
    for (kind, key), rate in PURCHASE_TAXES.items():
        set_mapping(organisation, "purchase_tax", kind, key, rate)


def _track(organisation: Organisation, office: Office) -> None:
    options = LedgerTrackingOption.objects.filter(organisation=organisation)
    ids = {(one.category, one.name): one.external_id for one in options}
    region = ids["Region", office.region]
    set_mapping(organisation, "tracking", "location", office.name, region)
    for department, option in DEPARTMENTS.items():
        target = ids["Department", option]
        set_mapping(organisation, "tracking", "department", department, target)


def _archive_account(stage: Stage, organisation: Organisation) -> None:
    """Somebody tidies the chart of accounts up, and does not think of the mappings."""
    account = LedgerAccount.objects.get(organisation=organisation, code=ARCHIVED_ACCOUNT)
    edit = {
        "tenant": organisation.external_id,
        "kind": "Accounts",
        "id": account.external_id,
        "changes": {"Status": "ARCHIVED"},
    }
    httpx2.post(f"{stage.books_url}/_control/edit", json=edit).raise_for_status()
    Feed.objects.filter(organisation=organisation, name="settings").update(due_at=now())
