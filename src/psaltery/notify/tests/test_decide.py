"""Who hears of what, and when: decided from values alone."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psaltery.notify.decide import (
    FLAPPING,
    GIVE_UP,
    LASTS,
    MOST_PATIENCE,
    REMINDER,
    Seen,
    Terms,
    Told,
    digest_day,
    fits,
    gravity,
    news,
    next_try,
    patience,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LONG_AGO = NOON - timedelta(days=30)
HOUR = timedelta(hours=1)


def card(**values) -> Seen:
    given_values = {
        "id": 1,
        "cause": "1|account_unmapped|labour",
        "code": "account_unmapped",
        "topic": "posting",
        "severity": "error",
        "state": "open",
        "since": NOON - HOUR,
        "organisation": 7,
        "kinds": frozenset({"invoice"}),
        "amounts": (Decimal("110.00"),),
        **values,
    }
    return Seen(**given_values)


def rule(**values) -> Terms:
    return Terms(**{"id": 5, "since": LONG_AGO, **values})


def test_a_connection_that_stops_several_organisations_is_each_ones():
    mine = rule(organisations=frozenset({8}))
    stopped = card(topic="connection", code="token_revoked", kinds=frozenset(), amounts=())
    assert not fits(mine, stopped)
    assert fits(mine, card(topic="connection", stops=frozenset({7, 8})))
    assert not fits(mine, card(topic="connection", stops=frozenset({7, 9})))
    # Whoever does not want to hear of connections is not told for all that.
    assert not fits(
        rule(topics=frozenset({"posting"})), card(topic="connection", stops=frozenset({8}))
    )


def was_told(event: str = "opened", **values) -> Told:
    known = {"card": 1, "cause": card().cause, "event": event, "at": NOON - HOUR, "rule": 5}
    return Told(**{**known, **values})


@dataclass
class Case:
    terms: dict
    card: dict
    fits: bool


@pytest.mark.parametrize(
    "case",
    [
        Case({}, {}, True),
        Case({"topics": frozenset({"payment"})}, {}, False),
        Case({"topics": frozenset({"posting", "payment"})}, {}, True),
        Case({"codes": frozenset({"no_route"})}, {}, False),
        Case({"kinds": frozenset({"bill"})}, {}, False),
        Case({"kinds": frozenset({"bill"})}, {"kinds": frozenset({"bill", "invoice"})}, True),
        Case({"kinds": frozenset({"bill"})}, {"kinds": frozenset()}, True),
        Case({"organisations": frozenset({8})}, {}, False),
        Case({"organisations": frozenset({8})}, {"organisation": None}, False),
        Case({"least_severity": "error"}, {"severity": "warning"}, False),
        Case({"least_severity": "warning"}, {"severity": "warning"}, True),
        Case({"least_severity": "error"}, {"severity": "unheard_of"}, True),
        Case({"least_amount": Decimal("110.00")}, {}, True),
        Case({"least_amount": Decimal("110.01")}, {}, False),
        Case({"least_amount": Decimal(50)}, {"amounts": (Decimal(-60),)}, True),
        Case({"least_amount": Decimal(50)}, {"amounts": (Decimal(30), Decimal(30))}, False),
        Case({"least_amount": Decimal(50)}, {"amounts": ()}, True),
        Case(
            {"least_amount": Decimal(50), "kinds": frozenset({"bill"})},
            {
                "topic": "connection",
                "amounts": (Decimal(30),),
                "kinds": frozenset({"invoice"}),
            },
            True,
        ),
        Case({"owner": 3}, {}, False),
        Case({"owner": 3}, {"owner": 3}, True),
    ],
)
def test_what_a_rule_wants(case):
    assert fits(rule(**case.terms), card(**case.card)) is case.fits


def test_an_open_card_is_told_once_however_many_rules_want_it():
    found = news([rule(), rule(id=6)], [card()], [], NOON)
    assert [(one.card, one.event, one.rule) for one in found] == [(1, "opened", 5)]
    assert news([rule(), rule(id=6)], [card()], [was_told()], NOON) == []


def test_a_rule_for_once_a_day_tells_nothing_at_once():
    assert news([rule(at_once=False)], [card()], [], NOON) == []


def test_what_was_there_before_the_rule_is_no_news():
    assert news([rule(since=NOON - HOUR / 2)], [card()], [], NOON) == []


@pytest.mark.parametrize(
    ("lasted", "told"), [(timedelta(minutes=9, seconds=59), 0), (timedelta(minutes=10), 1)]
)
def test_what_mends_itself_in_time_is_not_told(lasted, told):
    patient = rule(wait=timedelta(minutes=10))
    assert len(news([patient], [card(since=NOON - lasted)], [], NOON)) == told


def test_causes_that_mostly_mend_themselves_wait_longer():
    fleeting = card(code="company_unknown")
    assert patience(rule(), fleeting, 0) == LASTS
    assert patience(rule(wait=2 * LASTS), fleeting, 0) == 2 * LASTS
    assert patience(rule(), card(), 0) == timedelta(0)


def test_a_cause_that_comes_back_is_told_ever_later():
    waits = [patience(rule(), card(), times) for times in range(12)]
    assert waits[1] == 2 * FLAPPING
    assert waits == sorted(waits)
    assert waits[-1] == MOST_PATIENCE


def test_flapping_counts_cards_of_the_same_cause_within_a_day():
    fresh = card(id=2, since=NOON - timedelta(minutes=6))
    earlier = was_told(at=NOON - timedelta(hours=2))
    assert news([rule()], [fresh], [earlier], NOON) == []
    assert len(news([rule()], [fresh], [was_told(at=NOON - timedelta(hours=25))], NOON)) == 1
    assert len(news([rule()], [fresh], [was_told(reached=False)], NOON)) == 1


def test_snoozed_cards_are_quiet_and_told_when_they_come_back():
    assert news([rule()], [card(state="snoozed")], [], NOON) == []
    (one,) = news([rule()], [card(naps=2)], [was_told(), was_told("woken-1")], NOON)
    assert one.event == "woken-2"


def test_the_end_is_told_to_those_who_heard_of_the_beginning():
    wants = rule(tell_resolved=True)
    ended = card(state="resolved", amounts=(), kinds=frozenset(), resolved_by="ben@example.com")
    (one,) = news([wants], [ended], [was_told()], NOON)
    assert one.event == "resolved"
    assert news([wants], [ended], [], NOON) == []
    assert news([wants], [ended], [was_told(reached=False)], NOON) == []
    assert news([wants], [ended], [was_told(), was_told("resolved")], NOON) == []
    assert news([rule()], [ended], [was_told()], NOON) == []


def test_nobody_is_told_what_they_mended_themselves():
    ended = card(state="resolved", resolved_by="ada@example.com")
    found = news([rule(tell_resolved=True)], [ended], [was_told()], NOON, address="ada@example.com")
    assert found == []


def test_an_uncertain_message_is_followed_by_one_reminder():
    unsure = was_told(uncertain=True, at=NOON - REMINDER)
    (one,) = news([rule()], [card()], [unsure], NOON)
    assert one.event == "opened:again"
    assert news([rule()], [card()], [unsure, was_told("opened:again")], NOON) == []
    soon = was_told(uncertain=True, at=NOON - REMINDER + timedelta(seconds=1))
    assert news([rule()], [card()], [soon], NOON) == []


# The day's digest


def sydney(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("moment", "last", "due"),
    [
        ("2026-11-20T07:59:59+11:00", "2026-11-19", ""),
        ("2026-11-20T08:00:00+11:00", "2026-11-19", "2026-11-20"),
        ("2026-11-20T23:30:00+11:00", "2026-11-19", "2026-11-20"),  # nothing ran in the morning
        ("2026-11-20T08:30:00+11:00", "2026-11-20", ""),
        ("2026-11-24T09:00:00+11:00", "2026-11-20", "2026-11-24"),  # days gone by are not made up
        ("2026-11-20T08:00:00+11:00", "", "2026-11-20"),
    ],
)
def test_a_digest_is_due_once_a_day_at_the_hour_of_the_zone(moment, last, due):
    assert digest_day(8, "Australia/Sydney", LONG_AGO, last, sydney(moment)) == due


def test_a_new_rule_begins_with_its_next_hour():
    made = sydney("2026-11-20T15:00:00+11:00")
    assert digest_day(8, "Australia/Sydney", made, "", made + HOUR) == ""
    next_day = sydney("2026-11-21T08:00:00+11:00")
    assert digest_day(8, "Australia/Sydney", made, "", next_day) == "2026-11-21"


def test_working_days_only():
    saturday = sydney("2026-11-21T09:00:00+11:00")
    monday = saturday + timedelta(days=2)
    assert digest_day(8, "Australia/Sydney", LONG_AGO, "", saturday, workdays=True) == ""
    assert digest_day(8, "Australia/Sydney", LONG_AGO, "", monday, workdays=True) == "2026-11-23"


@given(
    hour=st.integers(0, 23),
    zone=st.sampled_from(["UTC", "Australia/Sydney", "America/New_York", "Pacific/Apia"]),
    start=st.integers(0, 500 * 24 * 60).map(lambda minutes: LONG_AGO + timedelta(minutes=minutes)),
)
def test_looking_every_half_hour_finds_each_day_exactly_once(hour, zone, start):
    """Also on the days when clocks are changed."""
    found: list[str] = []
    for step in range(48 * 4):
        moment = start + timedelta(minutes=30 * step)
        last = found[-1] if found else ""
        if day := digest_day(hour, zone, start - timedelta(days=2), last, moment):
            found.append(day)
    assert len(found) == len(set(found))
    assert len(found) in (4, 5)


# Trying again


def test_tries_grow_apart_and_end_after_a_day():
    waits = [next_try(tries, NOON, NOON) - NOON for tries in range(1, 10)]
    assert waits[:4] == [timedelta(minutes=m) for m in (1, 2, 4, 8)]
    assert max(waits) == HOUR
    assert next_try(30, NOON, NOON + GIVE_UP) is None


def test_gravity_takes_the_unknown_for_grave():
    assert gravity("info") < gravity("warning") < gravity("error") == gravity("catastrophe")
