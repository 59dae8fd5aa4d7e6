"""The pure decision: how many calls a minute and a day allow, and who goes first."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from psaltery.adapters.budget import (
    Go,
    Priority,
    State,
    Wait,
    decide,
    is_new_day,
    learned_cap,
)
from psaltery.adapters.contract import Limits

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
XERO = Limits(concurrent=5, per_minute=30, per_minute_most=60)


def greedy(state, priority, moments, limits=XERO):
    """When the calls of a caller who asks at each of these moments went out."""
    went = []
    for at in moments:
        decision = decide(state, limits, priority, at)
        if isinstance(decision, Go):
            went.append(at)
            state = State(per_minute=state.per_minute, theoretical_at=decision.theoretical_at)
    return went


@given(
    st.lists(st.floats(0, 3), max_size=400),
    st.sampled_from(list(Priority)),
    st.integers(1, 60),
)
def test_no_sixty_seconds_hold_more_than_the_vendor_allows(pauses, priority, per_minute):
    at, moments = START, []
    for pause in pauses:
        at += timedelta(seconds=pause)
        moments.append(at)
    went = greedy(State(per_minute=per_minute), priority, moments)
    for first in range(len(went)):
        window = [at for at in went if went[first] <= at < went[first] + timedelta(minutes=1)]
        assert len(window) <= XERO.per_minute_most


def test_waiting_as_told_is_enough():
    state, at = State(per_minute=30), START
    for _ in range(100):
        decision = decide(state, XERO, Priority.BACKFILL, at)
        if isinstance(decision, Wait):
            at = decision.at
            decision = decide(state, XERO, Priority.BACKFILL, at)
        assert isinstance(decision, Go)
        state = State(per_minute=30, theoretical_at=decision.theoretical_at)
    # 15 go at once, the other 85 two seconds apart.
    assert timedelta(seconds=160) < at - START < timedelta(seconds=175)


def test_a_person_goes_where_a_backfill_waits():
    state = State(per_minute=30, theoretical_at=START + timedelta(seconds=40))
    assert isinstance(decide(state, XERO, Priority.BACKFILL, START), Wait)
    assert isinstance(decide(state, XERO, Priority.INTERACTIVE, START), Go)


def test_a_clock_that_was_set_back_holds_nobody_up_for_long():
    state = State(per_minute=30, theoretical_at=START + timedelta(minutes=10))
    assert isinstance(decide(state, XERO, Priority.BACKFILL, START), Go)


def test_a_block_of_the_vendor_holds_for_everybody():
    until = START + timedelta(seconds=30)
    state = State(per_minute=30, blocked_until=until, blocked_why="minute")
    assert decide(state, XERO, Priority.INTERACTIVE, START) == Wait(until, "minute")
    assert isinstance(decide(state, XERO, Priority.INTERACTIVE, until), Go)


def test_the_last_tenth_of_the_day_is_kept_for_people():
    state = State(per_minute=30, day_cap=1000, day_remaining=100, heard_at=START)
    for priority in (Priority.SCHEDULE, Priority.BACKFILL):
        assert decide(state, XERO, priority, START) == Wait(START + timedelta(hours=1), "day")
    assert isinstance(decide(state, XERO, Priority.WEBHOOK, START), Go)
    assert isinstance(decide(state, XERO, Priority.INTERACTIVE, START), Go)
    # An hour later one call asks whether the vendor's day has begun anew.
    later = START + timedelta(hours=1)
    assert isinstance(decide(state, XERO, Priority.SCHEDULE, later), Go)


def test_a_cap_of_our_own_is_counted_where_the_vendor_says_nothing():
    state = State(per_minute=30, day_cap=100, day_used=91, heard_at=START)
    assert isinstance(decide(state, XERO, Priority.SCHEDULE, START), Wait)


def test_the_cap_is_learned_from_what_remains():
    assert learned_cap(State(per_minute=30), 4999) == 5000
    known = State(per_minute=30, day_cap=5000, day_remaining=4200)
    assert learned_cap(known, 4199) == 5000
    assert not is_new_day(known, 4203)  # an answer that came out of order
    spent = State(per_minute=30, day_cap=5000, day_remaining=0)
    assert is_new_day(spent, 999)
    assert learned_cap(spent, 999) == 1000
