"""Which sources are too old to judge by: what depends on them is "not checked", never zero."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from psaltery.adapters import registry
from psaltery.adapters.contract import Role
from psaltery.connections.models import Connection, Feed, Organisation
from psaltery.matching.tieout.freshness import too_old
from psaltery.portfolio.models import Customer, CustomerContact
from psaltery.signals.formulas import Source

# A first pass that has not ended after this long is stuck.
_FIRST_PASS = timedelta(days=1)


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """`psa`, `books`: feed name → id → why it is too old; `of`: the books that know a customer."""

    psa: dict[int, dict[str, str]]  # by connection
    books: dict[int, dict[str, str]]  # by organisation
    of: dict[int, set[int]]  # customer → organisations
    sites: dict[int, int]  # customer → connection of its PSA

    def why_not(self, customer: int, psa: Iterable[str], books: Iterable[str]) -> str:
        """Why a customer can't be judged from these feeds; "" when it can."""
        site = self.sites.get(customer)
        places = [(self.psa.get(site, {}), psa)] if site is not None else []
        places += [(self.books.get(one, {}), books) for one in sorted(self.of.get(customer, ()))]
        for known, names in places:
            # The first reason is enough: one source too old makes the whole answer a guess.
            for name in names:
                if known.get(name):
                    return known[name]
        return ""


def sources(moment: datetime, intervals: Decimal) -> Sources:
    """How fresh everything is; four queries."""
    psa: dict[int, dict[str, str]] = defaultdict(dict)
    books: dict[int, dict[str, str]] = defaultdict(dict)
    kinds = {one.kind for one in registry.manifests() if one.role is Role.PSA}
    rows = Feed.objects.select_related("organisation__connection")
    for feed in rows.filter(organisation__chosen=True):
        why = too_old(feed, moment, intervals)
        connection = feed.organisation.connection
        if connection.kind in kinds:
            psa[connection.pk][feed.name] = why
        else:
            books[feed.organisation_id][feed.name] = why
    of: dict[int, set[int]] = defaultdict(set)
    for customer, organisation in CustomerContact.objects.values_list(
        "customer_id", "organisation_id"
    ):
        of[customer].add(organisation)
    linked = Customer.objects.filter(company__isnull=False)
    sites = dict(linked.values_list("pk", "company__connection_id"))
    return Sources(psa=dict(psa), books=dict(books), of=dict(of), sites=sites)


def feeds(moment: datetime, intervals: Decimal) -> dict[int, list[Source]]:
    """Every feed of every chosen organisation, with why it is too old."""
    found: dict[int, list[Source]] = defaultdict(list)
    rows = Feed.objects.select_related("organisation__connection").order_by("pk")
    for feed in rows.filter(organisation__chosen=True):
        found[feed.organisation_id].append(_source(feed, moment, intervals))
    return found


def _source(feed: Feed, moment: datetime, intervals: Decimal) -> Source:
    one = feed.organisation
    began = feed.started_at or one.created_at
    return Source(
        id=feed.pk,
        name=feed.name.replace("_", " "),
        why=too_old(feed, moment, intervals),
        paused=one.paused or one.connection.state == Connection.State.DISCONNECTED,
        chosen=one.chosen,
        removed=one.state == Organisation.State.REMOVED,
        # A first reading may take hours and is no fault; one that failed, or takes days, is.
        first_pass=feed.full_pass_at is None
        and feed.state != Feed.State.FAILED
        and moment - began < _FIRST_PASS,
    )
