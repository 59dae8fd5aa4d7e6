"""The shared budget on a real PostgreSQL, drawn from by several processes."""

import signal
import time
from datetime import timedelta

import pytest

from psaltery.adapters.budget import Heard, Priority
from psaltery.adapters.contract import Limits
from psaltery.adapters.errors import TryLater
from psaltery.connections.budgets import SharedBudget
from psaltery.connections.models import Budget, Usage
from psaltery.kit.clock import now

LIMITS = Limits(concurrent=2, per_minute=30, per_minute_most=60)


def budget(organisation, priority=Priority.INTERACTIVE, limits=LIMITS):
    return SharedBudget(organisation.pk, limits, priority)


def test_calls_are_counted_with_their_bytes(organisation):
    one = budget(organisation)
    for status in (200, 429):
        one.take()
        one.learn(Heard(status=status, bytes_out=10, bytes_in=100))
    usage = Usage.objects.get()
    assert (usage.calls, usage.failed, usage.bytes_in, usage.bytes_out) == (2, 1, 200, 20)
    row = Budget.objects.get()
    assert row.day_used == 2
    assert row.day == now().date()


def test_the_cap_of_the_day_is_learned_and_its_last_tenth_kept(organisation):
    one = budget(organisation)
    one.take()
    one.learn(Heard(status=200, day_remaining=999))
    assert Budget.objects.get().day_cap == 1000
    one.take()
    one.learn(Heard(status=200, day_remaining=100))
    with pytest.raises(TryLater) as paused:
        budget(organisation, Priority.BACKFILL).take()
    assert paused.value.limit == "day"
    assert paused.value.at > now() + timedelta(minutes=59)
    one.take()  # a person still may
    one.learn(Heard(status=200, day_remaining=999))  # the vendor's day began anew
    budget(organisation, Priority.BACKFILL).take()


def test_a_block_holds_until_it_ends(organisation):
    until = now() + timedelta(seconds=40)
    one = budget(organisation)
    one.take()
    one.learn(Heard(status=429, blocked_until=until, blocked_why="minute"))
    with pytest.raises(TryLater) as refused:
        one.take()
    assert refused.value.at == until
    one.learn(Heard(status=200, blocked_until=None))
    assert Budget.objects.get().blocked_until == until


def test_organisations_do_not_hold_each_other_up(organisation):
    other = organisation.connection.organisations.create(external_id="tenant-2", name="Other")
    Budget.objects.create(organisation=other, per_minute=30)
    Budget.objects.filter(organisation=organisation).update(
        blocked_until=now() + timedelta(hours=3), blocked_why="day"
    )
    with pytest.raises(TryLater):
        budget(organisation).take()
    budget(other).take()


MANY_CALLS = """
import sys, time
from psaltery.adapters.budget import Heard, Priority
from psaltery.adapters.contract import Limits
from psaltery.connections.budgets import SharedBudget
from psaltery.adapters.errors import TryLater
limits = Limits(concurrent=2, per_minute=600, per_minute_most=620)
budget = SharedBudget({organisation}, limits, Priority.INTERACTIVE)
for _ in range(30):
    try:
        budget.take()
    except TryLater as later:
        continue
    print(time.time(), flush=True)
    budget.learn(Heard(status=200))
"""


def test_two_processes_share_one_rate(organisation, child):
    Budget.objects.update(per_minute=600)
    began = time.time()
    children = [child(MANY_CALLS.format(organisation=organisation.pk)) for _ in range(2)]
    went = []
    for process in children:
        told, trouble = process.communicate(timeout=60)
        assert process.returncode == 0, trouble
        went += [float(line) for line in told.split()]
    went.sort()
    assert len(went) == 60
    # A burst of 20, then ten a second whatever the number of processes: 40 more take 4 seconds.
    assert went[-1] - went[0] > 3.5, went[-1] - began
    assert Usage.objects.get().calls == 60


HOLD = """
import time
from psaltery.adapters.budget import Priority
from psaltery.adapters.contract import Limits
from psaltery.connections.budgets import SharedBudget
limits = Limits(concurrent=2, per_minute=600, per_minute_most=1000)
held = [SharedBudget({organisation}, limits, Priority.INTERACTIVE) for _ in range(2)]
for budget in held:
    budget.take()
print("held", flush=True)
time.sleep(60)
"""


def test_only_so_many_at_once_over_all_processes_and_a_killed_one_frees_its_slots(
    organisation, child
):
    # One process holds both slots (a session may lock a slot again, so it asks twice).
    holder = child(HOLD.format(organisation=organisation.pk))
    assert holder.stdout.readline() == "held\n"
    waiting = SharedBudget(
        organisation.pk,
        Limits(concurrent=1, per_minute=600, per_minute_most=1000),
        Priority.WEBHOOK,
    )
    with pytest.raises(TryLater) as refused:
        waiting.take()
    assert refused.value.limit == "concurrent"
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    waiting.take()
    waiting.learn(Heard(status=200))
