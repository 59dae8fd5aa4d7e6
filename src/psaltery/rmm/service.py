"""Stores alerts once, each with the customer that it is about."""

from collections.abc import Sequence

from django.db import transaction
from django.db.models.functions import Lower

from psaltery.desk.models import Company
from psaltery.kit.clock import now
from psaltery.rmm.models import RmmAlert
from psaltery.rmm.wire import Told

_FIELDS = (
    "company", "company_text", "at", "severity", "device", "title", "text", "url", "resolved",
)  # fmt: skip


def keep(alerts: Sequence[Told]) -> int:
    """Store alerts, or bring up to date those that are known; how many were new."""
    # One statement may not touch a row twice; the last word about an alert counts. In one order,
    # so that two deliveries of the same alerts don't block each other.
    unique = {one.id: one for one in sorted(alerts, key=lambda one: one.id)}
    companies = _companies({one.company for one in unique.values() if one.company})
    moment = now()
    with transaction.atomic():
        # Locked: a delivery that comes at the same time must not be overtaken by this one.
        rows = RmmAlert.objects.select_for_update().order_by("external_id")
        known = {row.external_id: row for row in rows.filter(external_id__in=unique)}
        fresh = [one for one in unique.values() if not _is_overtaken(one, known.get(one.id))]
        RmmAlert.objects.bulk_create(
            [
                RmmAlert(
                    external_id=one.id,
                    company=companies.get(one.company.casefold()),
                    company_text=one.company,
                    at=one.at or moment,
                    severity=one.severity,
                    device=one.device,
                    title=one.title,
                    text=one.text,
                    url=one.url,
                    resolved=one.resolved,
                    received_at=moment,
                )
                for one in fresh
            ],
            update_conflicts=True,
            unique_fields=["external_id"],
            update_fields=_FIELDS,
        )
    return len(unique) - len(known)


def _is_overtaken(one: Told, known: RmmAlert | None) -> bool:
    """Whether a sender repeats the alert's beginning after its end was told."""
    if known is None or not known.resolved or one.resolved:
        return False
    return one.at is not None and one.at < known.at


def find_companies() -> int:
    """Give alerts whose company was not known when they came to the company it is now; how many."""
    alone = RmmAlert.objects.filter(company=None).exclude(company_text="")
    names = set(alone.values_list("company_text", flat=True).distinct())
    found = 0
    for text, company in _by_name(names).items():
        found += alone.filter(company_text=text).update(company=company)
    return found


def _by_name(names: set[str]) -> dict[str, Company]:
    companies = _companies(names) if names else {}
    return {name: companies[name.casefold()] for name in names if name.casefold() in companies}


def _companies(names: set[str]) -> dict[str, Company]:
    """The company of each name, by its id, else its identifier, else its name; only when sure."""
    wanted = {name.casefold() for name in names}
    found: dict[str, Company] = {}
    # The surest last: it replaces what was found before.
    for field in ("name", "identifier", "external_id"):
        rows = Company.objects.filter(deleted=False).annotate(key=Lower(field))
        by_key: dict[str, list[Company]] = {}
        for row in rows.filter(key__in=wanted):
            by_key.setdefault(str(getattr(row, field)).casefold(), []).append(row)
        found |= {key: same[0] for key, same in by_key.items() if len(same) == 1}
    return found
