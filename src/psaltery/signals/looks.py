"""One look a signal: every subject's facts judged, and what could not be judged, with why."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from zoneinfo import ZoneInfo

from psaltery.connections.models import Connection, Feed, Organisation
from psaltery.portfolio.models import Customer
from psaltery.signals import formulas, gather, health
from psaltery.signals.formulas import Finding, OpenInvoice
from psaltery.signals.freshness import Sources, feeds, sources
from psaltery.signals.thresholds import Thresholds

# What each look rests on: with one of these too old it says "not checked", never zero.
_PSA_WORK = ("tickets", "time_entries", "companies", "agreements", "invoices")
_PSA_MONEY = ("agreements", "additions", "invoices")
_BOOKS_MONEY = ("invoices", "credit_notes", "payments")
_BOOKS_LEAK = ("invoices", "credit_notes", "prepayments")


@dataclass
class Looked:
    """What a look found, by subject. A subject of `unjudged` keeps the alert that it has."""

    found: dict[str, Finding] = field(default_factory=dict)
    unjudged: dict[str, str] = field(default_factory=dict)
    # Why nothing at all could be judged.
    blind: str = ""
    judged: int = 0

    def put(self, subject: str, finding: Finding | None, why_not: str = "") -> None:
        """Take what was found of a subject, or why it could not be judged."""
        if why_not:
            self.unjudged[subject] = why_not
            return
        self.judged += 1
        if finding:
            self.found[subject] = finding


@dataclass
class Now:
    """What all looks of one round share."""

    moment: datetime
    zone: ZoneInfo  # the installation's: its day and month are what people mean
    limits: Thresholds
    verdicts: dict[int, health.Verdict] = field(default_factory=dict)

    @cached_property
    def today(self) -> date:
        return self.moment.astimezone(self.zone).date()

    @cached_property
    def sources(self) -> Sources:
        return sources(self.moment, self.limits.stale_intervals)

    @cached_property
    def overdue(self) -> dict[int, list[OpenInvoice]]:
        return gather.overdue()

    def blind(self) -> str:
        """Why customers can't be judged at all."""
        if not self.sources.psa:
            return "No PSA has been read yet."
        return "" if self.sources.books else "No books have been read yet."


def of_customer(customer: int) -> str:
    """The subject of alerts about a customer."""
    return f"customer:{customer}"


def service_without_invoice(now: Now) -> Looked:
    """Customers served last month whom nothing invoiced."""
    looked = Looked(blind=now.blind())
    if looked.blind:
        return looked
    month = gather.leak_month(now.today, now.limits)
    found = list(gather.services(month, now.limits, now.zone))
    alone = gather.without_contact(customer.pk for customer, _ in found)
    alike = gather.lookalikes(alone)
    for customer, facts in found:
        why = now.sources.why_not(customer.pk, _PSA_WORK, _BOOKS_LEAK)
        # The invoice may well be there, under a contact that nobody linked yet.
        if not why and customer.pk in alike:
            why = f"{customer.name} is not linked to the contact of that name in the books."
        finding = formulas.service_without_invoice(facts, now.limits)
        looked.put(of_customer(customer.pk), finding, why)
    # Whose work was not read may have been served: the alert of last month stays as it was.
    _keep_stale(looked, now, now.sources.sites, _PSA_WORK, _BOOKS_LEAK)
    return looked


def invoice_overdue(now: Now) -> Looked:
    """Customers with overdue invoices."""
    looked = Looked(blind="" if now.sources.books else "No books have been read yet.")
    for customer, invoices in now.overdue.items():
        why = now.sources.why_not(customer, (), _BOOKS_MONEY)
        looked.put(of_customer(customer), formulas.invoice_overdue(invoices, now.limits), why)
    # Who has no overdue invoice in an old mirror may have one by now: the alert stays as it was.
    _keep_stale(looked, now, now.sources.of, (), _BOOKS_MONEY)
    return looked


def mrr_gap(now: Now) -> Looked:
    """Customers whose agreements invoiced less than they promise."""
    looked = Looked(blind="" if now.sources.psa else "No PSA has been read yet.")
    for customer, facts in gather.revenues(now.today).items():
        why = now.sources.why_not(customer, _PSA_MONEY, ())
        looked.put(of_customer(customer), formulas.mrr_gap(facts, now.limits), why)
    _keep_stale(looked, now, now.sources.sites, _PSA_MONEY, ())
    return looked


def psa_ledger_drift(now: Now) -> Looked:
    """Customers with documents that differ between the two systems."""
    looked = Looked(blind=now.blind())
    read = Feed.objects.filter(name="invoices", finished_at__isnull=False)
    as_of = dict(read.values_list("organisation_id", "finished_at"))
    needs = ("invoices", "companies"), ("invoices", "credit_notes")
    for customer, pairs in gather.pairs(as_of).items():
        why = now.sources.why_not(customer, *needs)
        looked.put(of_customer(customer), formulas.psa_ledger_drift(pairs, now.limits), why)
    _keep_stale(looked, now, now.sources.of, *needs)
    return looked


def account_health(now: Now) -> Looked:
    """Customers at risk; everybody's verdict is kept for the list and the weekly snapshot."""
    looked = Looked(blind=now.blind())
    for customer, facts in gather.healths(now.today, now.overdue, now.limits, now.zone):
        why = now.sources.why_not(customer.pk, ("tickets", "agreements"), _BOOKS_MONEY)
        if customer.billing == Customer.Billing.INTERNAL:
            looked.put(of_customer(customer.pk), None)
            continue
        # Old data must not change the risk on the list: the last verdict stays until there is a
        # better one.
        if not why:
            now.verdicts[customer.pk] = health.judged(facts, now.limits)
        looked.put(of_customer(customer.pk), health.account_health(facts, now.limits), why)
    return looked


def unmapped(now: Now) -> Looked:
    """Customers that only one side knows: one alert for each books and each PSA."""
    looked = Looked(blind=now.blind())
    if looked.blind:
        return looked
    for organisation, rows in gather.lone_contacts().items():
        why = now.sources.books.get(organisation, {}).get("contacts", "")
        finding = formulas.unmapped(rows, now.today, now.limits)
        looked.put(f"organisation:{organisation}", finding, why)
    for site, rows in gather.lone_companies(now.today).items():
        why = now.sources.psa.get(site, {}).get("companies", "")
        looked.put(f"connection:{site}", formulas.unmapped(rows, now.today, now.limits), why)
    return looked


def stale_source(now: Now) -> Looked:
    """Organisations with feeds that are too old."""
    looked = Looked()
    for organisation, rows in feeds(now.moment, now.limits.stale_intervals).items():
        looked.put(f"organisation:{organisation}", formulas.stale_source(rows))
    return looked


def _keep_stale(
    looked: Looked,
    now: Now,
    customers: Iterable[int],
    psa: tuple[str, ...],
    books: tuple[str, ...],
) -> None:
    """Customers without a finding are not known to be well where their source is too old."""
    for customer in customers:
        subject = of_customer(customer)
        if subject in looked.found or subject in looked.unjudged:
            continue
        if why := now.sources.why_not(customer, psa, books):
            looked.unjudged[subject] = why
        else:
            looked.judged += 1


LOOKS: dict[str, Callable[[Now], Looked]] = {
    "service_without_invoice": service_without_invoice,
    "mrr_gap": mrr_gap,
    "invoice_overdue": invoice_overdue,
    "account_health": account_health,
    "psa_ledger_drift": psa_ledger_drift,
    "unmapped": unmapped,
    "stale_source": stale_source,
}


def names_of(subjects: set[str]) -> dict[str, str]:
    """What subjects that are no customers are called."""
    keys: dict[str, set[int]] = {"organisation": set(), "connection": set()}
    for subject in subjects:
        kind, _, key = subject.partition(":")
        if kind in keys:
            keys[kind].add(int(key))
    organisations = Organisation.objects.filter(pk__in=keys["organisation"])
    found = {f"organisation:{pk}": name for pk, name in organisations.values_list("pk", "name")}
    connections = Connection.objects.filter(pk__in=keys["connection"])
    return found | {f"connection:{pk}": name for pk, name in connections.values_list("pk", "name")}
