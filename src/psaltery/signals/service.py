"""Looks for every signal, and keeps alerts: opened once, brought up to date, resolved when over.

An alert that a person acknowledged or snoozed stays so while it is found; when it gets graver it is
open again. What could not be judged changes nothing.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from django.db import connection, transaction

from psaltery.accounts.queries import installation
from psaltery.adapters.errors import BadSettings
from psaltery.audit.service import record_change
from psaltery.connections.mirror import store
from psaltery.kit.clock import now as this_moment
from psaltery.portfolio import service as portfolio
from psaltery.review.models import Card
from psaltery.review.reasons import Reason
from psaltery.review.service import BY_ITSELF, open_cards, resolve, snooze, wake
from psaltery.signals.catalogue import BY_CODE
from psaltery.signals.formulas import Finding
from psaltery.signals.looks import LOOKS, Looked, Now, names_of
from psaltery.signals.models import Alert, Check, Muted, Snapshot, Threshold
from psaltery.signals.thresholds import BY_NAME, Thresholds

State = Alert.State
LIVE = (State.OPEN, State.ACKNOWLEDGED, State.SNOOZED)
EVIDENCE_KEPT = 200
_REASONS_KEPT = 20
# The number of our advisory lock: one process at a time looks.
_LOCK = 41_005
# Of the card that carries an alert to those who are to be told.
TOPIC = "alert"
# Warnings and errors are all that rules of notifications tell apart: below them nobody is told.
_CARD_SEVERITY = {1: "warning", 2: "warning", 3: "error", 4: "error"}
_SNAPSHOT = ("customer_id", "week", "points", "reasons")
# An acknowledged alert is nobody's news any more, until it is resolved.
_FOR_GOOD = timedelta(days=36_500)
# Only what was found: its state is people's, who may change it while a look is under way.
_CHANGED = """
UPDATE signals_alerts a SET sentence = n.sentence, severity = n.severity, amount = n.amount,
  currency = n.currency, money = n.money, evidence = n.evidence, evidence_count = n.evidence_count
FROM jsonb_to_recordset(%s::jsonb) AS n(id bigint, sentence text, severity smallint,
  amount numeric, currency text, money jsonb, evidence jsonb, evidence_count integer)
WHERE a.id = n.id"""


def limits_now() -> Thresholds:
    """The limits as they are set."""
    stored = dict(Threshold.objects.values_list("name", "value"))
    # A limit of another release may still be stored; it is passed by, not a failure.
    return Thresholds(**{name: value for name, value in stored.items() if name in BY_NAME})


def set_limit(name: str, value: Decimal | None) -> None:
    """Set a limit; None: as it was shipped. Raises BadSettings for one that can't be."""
    limit = BY_NAME.get(name)
    if limit is None:
        raise BadSettings(f"There is no limit {name!r}.", which="limit")
    if value is not None and not limit.least <= value <= limit.most:
        told = f"{limit.label}: from {limit.least} to {limit.most}."
        raise BadSettings(told, which=name)
    with transaction.atomic():
        if value is None:
            Threshold.objects.filter(pk=name).delete()
        else:
            Threshold.objects.update_or_create(name=name, defaults={"value": value})
        record_change(
            f"{limit.label} is {'as shipped' if value is None else value} now.",
            operation="alert.limit",
        )


def mute(signal: str, muted: bool) -> None:
    """Switch a signal off, or on again. Its alerts are resolved when it is off."""
    with transaction.atomic():
        if muted:
            Muted.objects.get_or_create(signal=signal)
        else:
            Muted.objects.filter(pk=signal).delete()
        word = "off" if muted else "on"
        record_change(f"{BY_CODE[signal].title} was switched {word}.", operation="alert.mute")


def look(moment: datetime | None = None) -> dict[str, int]:
    """Bring customers up to date and look for every signal; how many were found of each.

    Empty when another process is looking.
    """
    moment = moment or this_moment()
    # First, because every look judges by these figures.
    portfolio.refresh(thorough=False)
    # The installation's day: months and due dates end by its calendar, not by UTC's.
    now = Now(moment, ZoneInfo(installation().time_zone), limits_now())
    muted = set(Muted.objects.values_list("pk", flat=True))
    found = {}
    for signal, judge in LOOKS.items():
        # A transaction a signal: one that fails leaves the others' results, and no lock is held for
        # long.
        with transaction.atomic():
            if not _may_look():
                return {}
            _wake(signal, moment)
            # Nothing found, nothing left unjudged: so its alerts are resolved.
            looked = Looked() if signal in muted else judge(now)
            _keep(signal, looked, moment)
            found[signal] = len(looked.found)
    _keep_verdicts(now)
    _close_orphans()
    return found


def _close_orphans() -> None:
    """The cards of alerts that went with their customer: nobody could end them any more."""
    cards = Card.objects.filter(topic=TOPIC, state__in=(Card.State.OPEN, Card.State.SNOOZED))
    carried = Alert.objects.filter(state__in=LIVE, card__isnull=False)
    for card in cards.exclude(pk__in=carried.values("card")):
        resolve(card, BY_ITSELF, "What it was about is not there any more.")


def _may_look() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, 0)", [_LOCK])
        row = cursor.fetchone()
    return bool(row and row[0])


def _wake(signal: str, moment: datetime) -> None:
    due = Alert.objects.filter(signal=signal, state=State.SNOOZED, snoozed_until__lte=moment)
    for alert in due.select_related("card"):
        # In one statement: who snoozes it anew at this moment, or acknowledges it, is obeyed.
        if due.filter(pk=alert.pk).update(state=State.OPEN, snoozed_until=None, note=""):
            _wake_card(alert)


def _wake_card(alert: Alert) -> None:
    if alert.card:
        wake(alert.card)


def _keep(signal: str, looked: Looked, moment: datetime) -> None:
    rows = Alert.objects.filter(signal=signal, state__in=LIVE).select_related("card", "customer")
    live = {one.subject: one for one in rows}
    names = names_of(set(looked.found))
    content = {
        subject: _content(_named(subject, finding.sentence, names), finding)
        for subject, finding in looked.found.items()
    }
    _update([(live[one], new) for one, new in content.items() if one in live])
    _open(signal, {one: new for one, new in content.items() if one not in live}, moment)
    seen = [live[subject].pk for subject in looked.found if subject in live]
    Alert.objects.filter(pk__in=seen).update(seen_at=moment)
    # Blind is not well: what can't be judged keeps the alert it has.
    if not looked.blind:
        for subject, alert in live.items():
            if subject not in looked.found and subject not in looked.unjudged:
                _resolve(alert, moment)
    whys = [looked.blind] if looked.blind else sorted(set(looked.unjudged.values()))
    Check.objects.update_or_create(
        signal=signal,
        defaults={
            "at": moment,
            "looked_at": looked.judged,
            "found": len(looked.found),
            "not_checked": whys[:_REASONS_KEPT],
            "not_checked_count": len(looked.unjudged),
        },
    )


def _named(subject: str, sentence: str, names: Mapping[str, str]) -> str:
    return f"{names[subject]}: {sentence}" if subject in names else sentence


def _content(sentence: str, finding: Finding) -> dict[str, Any]:
    amount, currency = finding.money[0] if finding.money else (None, "")
    return {
        "sentence": sentence,
        "severity": finding.severity,
        "amount": amount,
        "currency": currency,
        "money": [[str(sum_), code] for sum_, code in finding.money],
        # As it comes back from the database, so that what did not change is seen not to have.
        "evidence": msgspec.json.decode(msgspec.json.encode(finding.evidence[:EVIDENCE_KEPT])),
        "evidence_count": len(finding.evidence),
    }


def _open(signal: str, fresh: Mapping[str, dict[str, Any]], moment: datetime) -> None:
    """New alerts, and the cards that carry them; the same few queries for one and for thousands."""
    made = Alert.objects.bulk_create(
        [_alert(signal, subject, content, moment) for subject, content in fresh.items()],
        batch_size=1_000,
    )
    rows = list(
        Alert.objects.filter(pk__in=[one.pk for one in made]).select_related(
            "customer", "organisation"
        )
    )
    carry(rows)


def _alert(signal: str, subject: str, content: dict[str, Any], moment: datetime) -> Alert:
    kind, _, key = subject.partition(":")
    return Alert(
        signal=signal,
        subject=subject,
        customer_id=int(key) if kind == "customer" else None,
        organisation_id=int(key) if kind == "organisation" else None,
        opened_at=moment,
        seen_at=moment,
        **content,
    )


def carry(alerts: Sequence[Alert]) -> None:
    """Open or renew the cards that tell people of alerts, by the rules for exceptions."""
    reasons = [(alert.organisation, _reason(alert)) for alert in alerts]
    cards = open_cards(reasons, topic=TOPIC) if reasons else []
    by_severity: dict[str, list[int]] = defaultdict(list)
    for alert, card in zip(alerts, cards, strict=True):
        by_severity[_CARD_SEVERITY[alert.severity]].append(card.pk)
    for severity, keys in by_severity.items():
        Card.objects.filter(pk__in=keys).exclude(severity=severity).update(severity=severity)
    pairs = [
        [alert.pk, card.pk]
        for alert, card in zip(alerts, cards, strict=True)
        if alert.card_id != card.pk
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE signals_alerts a SET card_id = n.card FROM unnest(%s::bigint[], %s::bigint[])"
            " AS n(alert, card) WHERE a.id = n.alert",
            [[alert for alert, _ in pairs], [card for _, card in pairs]],
        )


def _reason(alert: Alert) -> Reason:
    sums = " + ".join(f"{Decimal(amount):,.2f} {code}" for amount, code in alert.money)
    return Reason(
        code=alert.signal,
        about=alert.subject,
        subject=alert.customer.name if alert.customer else "",
        sentence=f"{_whose(alert)}{alert.sentence}{f' {sums}.' if sums else ''}",
        details={"alert": alert.pk},
    )


def _update(found: Iterable[tuple[Alert, dict[str, Any]]]) -> None:
    """Bring live alerts up to what was found; the same few statements for one and for thousands."""
    changed = [
        (alert, content)
        for alert, content in found
        if any(getattr(alert, name) != value for name, value in content.items())
    ]
    rows = [{"id": alert.pk, **content} for alert, content in changed]
    with connection.cursor() as cursor:
        cursor.execute(_CHANGED, [json.dumps(rows, default=str)])
    # Acknowledged was a smaller trouble; who took that on must hear of the greater one.
    _speak_up([alert.pk for alert, content in changed if content["severity"] > alert.severity])
    # Read again: what people did meanwhile decides whether they are told.
    mine = Alert.objects.filter(pk__in=[alert.pk for alert, _ in changed], state=State.OPEN)
    carry(list(mine.select_related("customer", "organisation")))


def _speak_up(graver: list[int]) -> None:
    quiet = Alert.objects.filter(pk__in=graver, state=State.ACKNOWLEDGED).select_related("card")
    for alert in quiet:
        if quiet.filter(pk=alert.pk).update(state=State.OPEN, note="", snoozed_until=None):
            _wake_card(alert)


def _resolve(alert: Alert, moment: datetime) -> None:
    told = "It was not found any more."
    live = Alert.objects.filter(pk=alert.pk, state__in=LIVE)
    live.update(state=State.RESOLVED, resolved_at=moment, state_by=BY_ITSELF, note=told)
    if alert.card:
        resolve(alert.card, BY_ITSELF, told)


def _keep_verdicts(now: Now) -> None:
    portfolio.set_risks(
        (customer, verdict.band, verdict.points, verdict.shown)
        for customer, verdict in now.verdicts.items()
    )
    monday = now.today - timedelta(days=now.today.weekday())
    kept = Snapshot.objects.filter(week=monday, points__gt=0).values_list("customer_id", flat=True)
    known = set(kept)
    rows = [
        [customer, monday, verdict.points, json.dumps(verdict.shown)]
        for customer, verdict in now.verdicts.items()
        # Zero only where it was more earlier in the week: most customers never have a point.
        if verdict.points or customer in known
    ]
    with transaction.atomic():
        store(Snapshot, ("customer_id", "week"), _SNAPSHOT, rows, aside=())


# What people do with alerts.


def acknowledge(alert: Alert, by: str, note: str = "") -> None:
    """Somebody saw it and deals with it: it is no news any more, and stays until it is over."""
    _set(alert, State.ACKNOWLEDGED, by, note, None)


def snooze_until(alert: Alert, until: datetime, by: str, note: str = "") -> None:
    """Put it aside until a moment (aware)."""
    _set(alert, State.SNOOZED, by, note, until)


def reopen(alert: Alert, by: str) -> None:
    """It waits for somebody again."""
    _set(alert, State.OPEN, by, "", None)


def _set(alert: Alert, state: str, by: str, note: str, until: datetime | None) -> None:
    with transaction.atomic():
        # One statement: an alert that a look resolves meanwhile is not brought back to life.
        live = Alert.objects.filter(pk=alert.pk, state__in=LIVE)
        changed = live.update(state=state, state_by=by, note=note.strip(), snoozed_until=until)
        if not changed:
            raise BadSettings("This alert is resolved already.", which="alert")
        if alert.card:
            if state == State.OPEN:
                wake(alert.card)
            else:
                # Its card carries the message: left open it would go on telling people.
                snooze(alert.card, until or this_moment() + _FOR_GOOD, by)
        word = State(state).label
        record_change(f"{_whose(alert)}{alert.sentence} It is {word} now.", operation="alert.state")


def _whose(alert: Alert) -> str:
    return f"{alert.customer.name}: " if alert.customer else ""
