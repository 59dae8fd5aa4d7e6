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
    # One statement may not touch a row twice; the last word about an alert counts.
    unique = {one.id: one for one in alerts}
    companies = _companies({one.company for one in unique.values() if one.company})
    moment = now()
    with transaction.atomic():
        known = RmmAlert.objects.filter(external_id__in=unique).count()
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
                for one in unique.values()
            ],
            update_conflicts=True,
            unique_fields=["external_id"],
            update_fields=_FIELDS,
        )
    return len(unique) - known


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
