"""Looks for every signal, and keeps alerts: opened once, brought up to date, resolved when over.

An alert that a person acknowledged or snoozed stays so while it is found; when it gets graver it is
open again. What could not be judged changes nothing.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from django.db import connection, transaction

from psaltery.accounts.queries import installation
from psaltery.adapters.errors import BadSettings
from psaltery.audit.service import record_change
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
_CARD_SEVERITY = {1: "info", 2: "warning", 3: "error", 4: "error"}
# An acknowledged alert is nobody's news any more, until it is resolved.
_FOR_GOOD = timedelta(days=36_500)


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
    today = moment.astimezone(ZoneInfo(installation().time_zone)).date()
    now = Now(moment, today, limits_now())
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
    return found


def _may_look() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, 0)", [_LOCK])
        row = cursor.fetchone()
    return bool(row and row[0])


def _wake(signal: str, moment: datetime) -> None:
    due = Alert.objects.filter(signal=signal, state=State.SNOOZED, snoozed_until__lte=moment)
    for alert in due.select_related("card"):
        alert.state, alert.snoozed_until, alert.note = State.OPEN, None, ""
        alert.save(update_fields=["state", "snoozed_until", "note"])
        if alert.card:
            wake(alert.card)


def _keep(signal: str, looked: Looked, moment: datetime) -> None:
    rows = Alert.objects.filter(signal=signal, state__in=LIVE).select_related("card", "customer")
    live = {one.subject: one for one in rows}
    names = names_of(set(looked.found))
    fresh: dict[str, dict[str, Any]] = {}
    for subject, finding in looked.found.items():
        content = _content(_named(subject, finding.sentence, names), finding)
        if subject not in live:
            fresh[subject] = content
        elif any(getattr(live[subject], name) != value for name, value in content.items()):
            _update(live[subject], content)
    _open(signal, fresh, moment)
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
    _carry(rows)
    Alert.objects.bulk_update(rows, ["card"], batch_size=1_000)


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


def _carry(alerts: Sequence[Alert]) -> None:
    """Open the cards that tell people of alerts, by the rules for exceptions."""
    reasons = [(alert.organisation, _reason(alert)) for alert in alerts]
    by_severity: dict[str, list[int]] = defaultdict(list)
    for alert, card in zip(
        alerts, open_cards(reasons, topic=TOPIC) if reasons else (), strict=True
    ):
        alert.card = card
        by_severity[_CARD_SEVERITY[alert.severity]].append(card.pk)
    for severity, cards in by_severity.items():
        Card.objects.filter(pk__in=cards).exclude(severity=severity).update(severity=severity)


def _reason(alert: Alert) -> Reason:
    sums = " + ".join(f"{Decimal(amount):,.2f} {code}" for amount, code in alert.money)
    return Reason(
        code=alert.signal,
        about=alert.subject,
        subject=alert.customer.name if alert.customer else "",
        sentence=f"{_whose(alert)}{alert.sentence}{f' {sums}.' if sums else ''}",
        details={"alert": alert.pk},
    )


def _update(alert: Alert, content: dict[str, Any]) -> None:
    # Acknowledged was a smaller trouble; who took that on must hear of the greater one.
    graver = content["severity"] > alert.severity and alert.state == State.ACKNOWLEDGED
    for name, value in content.items():
        setattr(alert, name, value)
    if graver:
        alert.state, alert.note = State.OPEN, ""
    alert.save()
    if graver and alert.card:
        wake(alert.card)
    if alert.state == State.OPEN:
        _carry([alert])


def _resolve(alert: Alert, moment: datetime) -> None:
    alert.state, alert.resolved_at, alert.state_by = State.RESOLVED, moment, BY_ITSELF
    alert.note = "It was not found any more."
    alert.save(update_fields=["state", "resolved_at", "state_by", "note"])
    if alert.card:
        resolve(alert.card, BY_ITSELF, alert.note)


def _keep_verdicts(now: Now) -> None:
    portfolio.set_risks(
        (customer, verdict.band, verdict.points, verdict.shown)
        for customer, verdict in now.verdicts.items()
    )
    monday = now.today - timedelta(days=now.today.weekday())
    Snapshot.objects.bulk_create(
        [
            Snapshot(
                customer_id=customer, week=monday, points=verdict.points, reasons=verdict.shown
            )
            for customer, verdict in now.verdicts.items()
            if verdict.points
        ],
        update_conflicts=True,
        unique_fields=["customer", "week"],
        update_fields=["points", "reasons"],
        batch_size=1_000,
    )


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
