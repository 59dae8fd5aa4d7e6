"""Two workers, killed while they send: nobody is told the same twice, and nobody is forgotten."""

import random
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from datetime import timedelta

import pytest
from django.db import connection
from procrastinate.contrib.django import app
from procrastinate.exceptions import AlreadyEnqueued

from psaltery.kit.clock import now
from psaltery.notify import outbox, service
from psaltery.notify.models import Message, Notice
from psaltery.notify.tests.world import impatient, make_office, open_card, person

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.crash,
    pytest.mark.timeout(400),
]
PEOPLE = 16


def unsettled() -> int:
    return Message.objects.filter(state="booked").count()


def ask_workers() -> None:
    with suppress(AlreadyEnqueued):
        app.configure_task("notify", queue="upkeep").defer(timestamp=0)


def test_nothing_twice_and_nobody_forgotten(mail_server, psaltery_process):
    for number in range(PEOPLE):
        service.recipient_of(person(f"p{number}@example.com"))
    impatient()
    office = make_office("Adelaide")
    for number in range(3):
        open_card(office, [str(number)], about=f"kind {number}")
    mail_server.slow = 0.3  # so that kills hit mails under way
    variables = {
        "PSALTERY_EMAIL_HOST": "127.0.0.1",
        "PSALTERY_EMAIL_PORT": str(mail_server.port),
        "PSALTERY_EMAIL_SECURITY": "none",
    }
    source = random.Random(11)
    kills = 0
    until = time.monotonic() + 240
    workers = [psaltery_process("worker", **variables) for _ in range(2)]
    ask_workers()
    while (not Message.objects.exists() or unsettled()) and time.monotonic() < until:
        taken = len(mail_server.mails)
        ask_workers()
        mail_server.wait_for(taken + 2, 30)
        if kills < 4:
            time.sleep(source.uniform(0, 0.3))
            victim = workers.pop(0)
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            kills += 1
            workers.append(psaltery_process("worker", **variables))
    assert unsettled() == 0
    time.sleep(2)  # what is under way is settled
    to = Counter(str(mail["To"]) for mail in mail_server.mails)
    assert max(to.values()) == 1
    assert Notice.objects.count() == 3 * PEOPLE
    for worker in workers:
        worker.send_signal(signal.SIGKILL)
        worker.wait()

    # Those whose worker died are uncertain, never repeated, and reminded of a quarter later.
    left = Message.objects.filter(state="sending")
    died = set(left.values_list("recipient__person__email", flat=True))
    assert len(died) <= kills
    assert set(to) | died == {f"p{number}@example.com" for number in range(PEOPLE)}
    past = now() - timedelta(minutes=20)
    left.update(claimed_at=past)
    Notice.objects.update(booked_at=past)
    Message.objects.update(booked_at=past)
    mail_server.slow = 0
    mail_server.mails.clear()
    for _ in range(2):
        outbox.send_due()
        outbox.book()
        outbox.send_due()
    reminded = Counter(str(mail["To"]) for mail in mail_server.mails)
    assert reminded == Counter(died)
    assert set(Message.objects.values_list("state", flat=True)) <= {"sent", "uncertain"}


def test_workers_side_by_side_share_the_messages(mail_server, django_db_blocker):
    for number in range(PEOPLE):
        service.recipient_of(person(f"p{number}@example.com"))
    impatient()
    open_card(make_office("Adelaide"), ["1"])
    mail_server.slow = 0.05

    def work() -> None:
        with django_db_blocker.unblock():
            outbox.book()
            while outbox.send_due():
                pass
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outbox.book()
    outbox.send_due()
    to = Counter(str(mail["To"]) for mail in mail_server.mails)
    assert to == Counter(f"p{number}@example.com" for number in range(PEOPLE))
    assert set(Message.objects.values_list("state", flat=True)) == {"sent"}
