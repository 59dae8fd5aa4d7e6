"""Books what is to be told, sends it outside every transaction, and settles what became of it.

A message is sent at most once: what was claimed and never settled may have arrived, and is marked
uncertain rather than sent again. What it told is told once more, as a reminder, if it still matters
a quarter of an hour later. A message that certainly did not arrive is tried again, ever more
seldom.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from time import monotonic

from django.db import connection, transaction

from psaltery.adapters.errors import BadSettings, Failure, Rejected, TryLater
from psaltery.audit.service import Decision, Source, record_decision
from psaltery.kit.clock import now
from psaltery.kit.sealing import SealBroken
from psaltery.notify import (
    compose,
    letters,
    mail,
    queries,
    service,
    slack,
    teams,
    troubles,
    webhooks,
)
from psaltery.notify.decide import SPACING, News, Seen, Terms, digest_day, news, next_try
from psaltery.notify.letters import Letter
from psaltery.notify.models import Message, Nap, Notice, Recipient, Rule
from psaltery.review.models import Card

State = Message.State
# The number of our advisory lock: one process at a time books.
_BOOKING = 41_003
# Longer than any sending takes; a claim that is older belongs to a process that died.
LEASE = timedelta(minutes=5)
# Shorter than the half minute between two runs: the next one finds the lock free.
SLICE_SECONDS = 20.0


# Booking


def book() -> int:
    """Book messages about everything that is to be told now; how many notices were booked.

    One transaction: what is booked is booked once, whoever else looks at the same moment.
    """
    service.make_missing()
    # Seconds at most, and no network call within: others who look meanwhile just go away.
    with transaction.atomic():
        if not _may_book():
            return 0
        # One moment for all: rules that compare it must not see time pass between recipients.
        moment = now()
        troubles.open_for_connections()
        _count_naps(moment)
        return _book(moment)


def _may_book() -> bool:
    with connection.cursor() as cursor:
        # Released with the transaction, also by a crash: nothing is left locked.
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, 0)", [_BOOKING])
        row = cursor.fetchone()
    return bool(row and row[0])


def _count_naps(moment: datetime) -> None:
    """Remember who is snoozed, so that coming back is seen, also when it was never looked at."""
    asleep = Card.objects.filter(state=Card.State.SNOOZED)
    known = set(Nap.objects.filter(asleep=True).values_list("pk", flat=True))
    fresh = [card for card in asleep.values_list("pk", flat=True) if card not in known]
    for card in fresh:
        Nap.objects.update_or_create(card_id=card, defaults={"asleep": True})
    for nap in Nap.objects.filter(asleep=True).exclude(card__state=Card.State.SNOOZED):
        nap.asleep, nap.count, nap.woken_at = False, nap.count + 1, moment
        nap.save()


def _book(moment: datetime) -> int:
    found = [one for one in queries.recipients() if _is_reachable(one)]
    rules = queries.rules_of(found)
    cards = queries.cards_now(moment)
    days = queries.last_digests(found)
    booked = 0
    for recipient in found:
        own = rules.get(recipient.pk, [])
        terms = [queries.terms(rule) for rule in own]
        booked += _book_news(recipient, terms, cards, moment)
        booked += _book_digests(recipient, own, days, moment)
    return booked


def _is_reachable(recipient: Recipient) -> bool:
    """Without a mail server nothing is booked for people: it would wait for nobody."""
    return recipient.kind != Recipient.Kind.EMAIL or mail.is_set_up()


def _book_news(
    recipient: Recipient, terms: Sequence[Terms], cards: Sequence[Seen], moment: datetime
) -> int:
    address = recipient.person.email if recipient.person else ""
    own = troubles.own_causes(recipient)
    cards = [card for card in cards if card.cause not in own]
    told = queries.told(recipient, cards, moment)
    found = news(terms, cards, told, moment, address=address)
    return _add(recipient, found, moment) if found else 0


def _add(recipient: Recipient, found: Sequence[News], moment: datetime) -> int:
    """Put news into the message that still waits, or into a new one when it is time for one."""
    # Row by row, skipping what is being claimed: a message that is on its way takes no more.
    message = _waiting(recipient)
    if message is None:
        last = queries.last_news_at(recipient)
        # Not lost: nothing is noted as told, so the next booking finds it again.
        if last is not None and moment - last < SPACING:
            return 0
        message = Message.objects.create(
            recipient=recipient, kind=Message.Kind.NEWS, booked_at=moment, next_try_at=moment
        )
    Notice.objects.bulk_create(
        Notice(
            recipient=recipient,
            card_id=one.card,
            event=one.event,
            rule_id=one.rule,
            message=message,
            booked_at=moment,
        )
        for one in found
    )
    return len(found)


def _waiting(recipient: Recipient) -> Message | None:
    waiting = Message.objects.select_for_update(skip_locked=True).filter(
        recipient=recipient, kind=Message.Kind.NEWS, state=State.BOOKED
    )
    return waiting.first()


def _book_digests(
    recipient: Recipient, rules: Sequence[Rule], days: dict[int, str], moment: datetime
) -> int:
    booked = 0
    zone = queries.zone_of(recipient)
    for rule in rules:
        if rule.timing != Rule.Timing.DAILY:
            continue
        last = days.get(rule.pk, "")
        day = digest_day(rule.hour, zone, rule.since, last, moment, workdays=rule.workdays)
        if day:
            book_digest(rule, day, moment)
            booked += 1
    return booked


def book_digest(rule: Rule, day: str, moment: datetime) -> Message:
    """Book the digest of a rule for a day. IntegrityError when there is one already."""
    return Message.objects.create(
        recipient=rule.recipient,
        kind=Message.Kind.DIGEST,
        rule=rule,
        day=day,
        booked_at=moment,
        next_try_at=moment,
    )


# Sending


def send_due(seconds: float = SLICE_SECONDS) -> int:
    """Send what is due, for at most about this long; how many messages were tried."""
    give_up_on_the_dead()
    until, tried = monotonic() + seconds, 0
    while monotonic() < until and (message := _claim()):
        _deliver(message)
        tried += 1
    return tried


def give_up_on_the_dead() -> int:
    """Messages that a process claimed and did not settle: nobody knows whether they arrived."""
    old = Message.objects.filter(state=State.SENDING, claimed_at__lt=now() - LEASE)
    why = "The worker ended while it sent this; it may have arrived."
    return old.update(state=State.UNCERTAIN, why=why)


def _claim() -> Message | None:
    moment = now()
    with transaction.atomic():
        # Claimed and committed before it is sent: a crash leaves a claim, never a second sending.
        due = Message.objects.select_for_update(skip_locked=True, of=("self",)).filter(
            state=State.BOOKED, next_try_at__lte=moment
        )
        due = due.filter(recipient__paused=False)
        message = (
            due.select_related("recipient__person", "rule__recipient")
            .order_by("next_try_at", "pk")
            .first()
        )
        if message is None:
            return None
        message.state, message.claimed_at = State.SENDING, moment
        message.tries += 1
        message.save(update_fields=["state", "claimed_at", "tries"])
    return message


def send_trial(recipient: Recipient) -> Message:
    """Send a test now and give the settled message; call it outside transactions."""
    return _send_now(Message(recipient=recipient, kind=Message.Kind.TEST))


def send_digest_now(rule: Rule) -> Message:
    """Send a rule's digest now, beside the daily one; its state says what became of it."""
    return _send_now(Message(recipient=rule.recipient, kind=Message.Kind.DIGEST, rule=rule))


def _send_now(message: Message) -> Message:
    moment = now()
    message.booked_at = message.next_try_at = message.claimed_at = moment
    message.state, message.tries = State.SENDING, 1
    message.save()
    _deliver(message, again=False)
    return message


def _deliver(message: Message, *, again: bool = True) -> None:
    # Written at the last moment, from how things stand now.
    letter = compose.letter_for(message)
    if letter is None:
        _settle(message, State.DROPPED, why="There was nothing left to tell.")
        return
    message.subject, message.text = letter.subject[:255], letters.plain(letter)
    try:
        _hand_over(message, letter)
    except TryLater as failure:
        # It may have arrived: sent again it could be there twice, so it waits for a reminder or a
        # person.
        if failure.uncertain:
            _settle(message, State.UNCERTAIN, why=str(failure))
        else:
            _put_off(message, failure, failure.at, again=again)
    except (Rejected, BadSettings) as failure:
        # A mail server's refusal of one mail is final; a wrong setting may be corrected meanwhile.
        _put_off(message, failure, None, again=again and not isinstance(failure, Rejected))
    else:
        _settle(message, State.SENT)


def _hand_over(message: Message, letter: Letter) -> None:
    recipient = message.recipient
    if recipient.kind == Recipient.Kind.EMAIL:
        mail.send(mail.made(letter, recipient.where, str(message.key)))
    else:
        made = slack.payload if recipient.kind == Recipient.Kind.SLACK else teams.payload
        webhooks.post(
            _address(recipient), made(letter), system=recipient.kind, channel=recipient.name
        )


def _address(channel: Recipient) -> str:
    try:
        return service.address_of(channel)
    except SealBroken as wrong:
        raise BadSettings(
            f"The webhook address can't be opened: {wrong} Enter it again.", which="address"
        ) from wrong


# Settling


def _settle(message: Message, state: State, *, why: str = "") -> None:
    message.state, message.why = state, why
    if state == State.SENT:
        message.sent_at = now()
    # The outcome and its line in the audit log are one.
    with transaction.atomic():
        _keep(message)
        if state != State.DROPPED:
            _tell_audit(message)
        if state == State.SENT:
            troubles.over(message.recipient)


def _put_off(message: Message, failure: Failure, at: datetime | None, *, again: bool) -> None:
    moment = now()
    later = next_try(message.tries, message.booked_at, moment) if again else None
    message.why = str(failure)
    message.state = State.BOOKED if later else State.FAILED
    if later:
        message.next_try_at = max(later, at) if at else later
    with transaction.atomic():
        _keep(message)
        _tell_audit(message)
        troubles.met(message.recipient, failure, moment, trial=message.kind == Message.Kind.TEST)


def _keep(message: Message) -> None:
    """Only the process that claimed it settles it, also when it was taken for dead meanwhile."""
    names = ("state", "subject", "text", "why", "sent_at", "next_try_at")
    Message.objects.filter(
        pk=message.pk, claimed_at=message.claimed_at, state__in=(State.SENDING, State.UNCERTAIN)
    ).update(**{name: getattr(message, name) for name in names})


def _tell_audit(message: Message) -> None:
    sent = message.state == State.SENT
    what = "was sent to" if sent else f"was not sent ({message.why}) to"
    if message.state == State.UNCERTAIN:
        what = "may have been sent to"
    sentence = f"“{message.subject}” {what} {message.recipient.where}."
    record_decision(
        Source(system=message.recipient.kind),
        Decision(sentence=sentence, operation="notify.message", failed=not sent),
    )


def send_again(message: Message) -> bool:
    """Book a failed or uncertain message once more, because a person asked; False when it is not
    in such a state any more."""
    moment = now()
    changed = Message.objects.filter(pk=message.pk, state__in=(State.FAILED, State.UNCERTAIN))
    return bool(
        changed.update(
            state=State.BOOKED, tries=0, booked_at=moment, next_try_at=moment, claimed_at=None
        )
    )


# Forgetting


def forget_old(days: int | None) -> int:
    """Delete settled messages older than so many days (None: keep all); how many.

    What tells of an exception that is not long over stays: it is how we know who was told.
    """
    if days is None:
        return 0
    before = now() - timedelta(days=days)
    lasting = Notice.objects.exclude(card__state=Card.State.RESOLVED, card__resolved_at__lt=before)
    settled = (State.SENT, State.UNCERTAIN, State.FAILED, State.DROPPED)
    old = Message.objects.filter(state__in=settled, booked_at__lt=before)
    _, deleted = old.exclude(pk__in=lasting.values("message")).delete()
    return deleted.get(Message._meta.label, 0)
