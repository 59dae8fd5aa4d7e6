"""What changed about agreements: told by comparing them with how they were last seen.

The mirror of the PSA keeps only how things are; here is kept how they were.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from psaltery.connections.mirror import store
from psaltery.portfolio.models import AgreementChange, AgreementSeen

Values = dict[str, str]

_ROWS = """
SELECT a.connection_id, 'agreement', a.external_id, a.external_id, p.id, a.name, jsonb_build_object(
  'state', a.state, 'amount', a.bill_amount::text, 'cycle', a.billing_cycle,
  'starts', coalesce(a.starts_on::text, ''), 'ends', coalesce(a.ends_on::text, ''))
FROM desk_agreements a
JOIN desk_companies c ON c.connection_id = a.connection_id AND c.external_id = a.company_external_id
JOIN portfolio_customers p ON p.company_id = c.id
UNION ALL
SELECT x.connection_id, 'addition', x.external_id, a.external_id, p.id,
  x.product || ' of ' || a.name,
  jsonb_build_object('quantity', x.quantity::text, 'price', x.unit_price::text,
    'cancelled', coalesce(x.cancelled_on::text, ''))
FROM desk_additions x
JOIN desk_agreements a
  ON a.connection_id = x.connection_id AND a.external_id = x.agreement_external_id
JOIN desk_companies c ON c.connection_id = a.connection_id AND c.external_id = a.company_external_id
JOIN portfolio_customers p ON p.company_id = c.id"""


def note_changes(moment: datetime) -> int:
    """Compare all agreements and additions with how they were; how many changes were noted.

    What is seen for the first time while nothing of its site was known is no change.
    """
    before = {
        (row.connection_id, row.kind, row.external_id): row.values
        for row in AgreementSeen.objects.iterator(chunk_size=5_000)
    }
    # By site and kind: the first reading of a site must not tell of hundreds of new agreements.
    known = {key[:2] for key in before}
    changes, seen = [], []
    for connection_id, kind, key, agreement, customer, name, values in _rows():
        place = (connection_id, kind, key)
        if before.get(place) != values:
            seen.append([connection_id, kind, key, values])
        for sentence in _told(name, before.get(place), values, first=place[:2] not in known):
            changes.append(
                AgreementChange(
                    customer_id=customer,
                    at=moment,
                    agreement_external_id=agreement,
                    sentence=sentence,
                )
            )
    # In the same transaction as the changes: a crash between them would tell them twice or never.
    _keep(seen)
    AgreementChange.objects.bulk_create(changes, batch_size=1_000)
    return len(changes)


def _rows() -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(_ROWS)
        return [
            (*row[:6], row[6] if isinstance(row[6], dict) else json.loads(row[6]))
            for row in cursor.fetchall()
        ]


def _keep(seen: list[list[Any]]) -> None:
    columns = ("connection_id", "kind", "external_id", "values")
    store(AgreementSeen, columns[:3], columns, [[*row[:3], json.dumps(row[3])] for row in seen])


def _told(name: str, old: Values | None, new: Values, *, first: bool) -> Iterator[str]:
    if old is None:
        if not first:
            yield f"{name} is new."
        return
    for field, word in _WORDS.items():
        if field in new and old.get(field, "") != new[field]:
            before, after = _plain(old.get(field, "")), _plain(new[field])
            yield f"{name}: {word} was {before or 'none'}, is {after or 'none'}."


_WORDS = {
    "state": "state",
    "amount": "amount",
    "cycle": "billing cycle",
    "starts": "start",
    "ends": "end",
    "quantity": "quantity",
    "price": "price",
    "cancelled": "cancellation",
}


def _plain(text: str) -> str:
    """Figures without the zeros that the column adds."""
    if text.count(".") == 1 and text.replace(".", "").removeprefix("-").isdecimal():
        return f"{Decimal(text).normalize():f}"
    return text
