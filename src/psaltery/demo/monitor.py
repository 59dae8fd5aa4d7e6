"""The demo's remote monitoring: alerts about customers' devices, signed as an RMM sends them."""

import random
from collections import deque
from typing import Any

import httpx2
from django.db import transaction

from psaltery.adapters.sandboxing import encode
from psaltery.audit.actor import acting_as
from psaltery.demo.names import DEVICES, WATCHED
from psaltery.rmm import keys
from psaltery.rmm.api import SIGNATURE_HEADER
from psaltery.rmm.models import RmmKey

SENDER = "demo monitoring"
SEVERITIES = ("info", "warning", "warning", "error", "critical")
HTTP_SECONDS = 30


class Monitor:
    """Raises alerts, and later says that they are over."""

    def __init__(self, address: str, chance: random.Random) -> None:
        self._address, self._chance = f"{address}/api/webhooks/rmm", chance
        self._secret = _key()
        self._open: deque[dict[str, Any]] = deque(maxlen=20)

    def happen(self, company: str) -> str:
        """A device of this customer alerts, or one that did is well again."""
        over = len(self._open) > 3 and self._chance.random() < 0.4
        alert = {**self._open.popleft(), "resolved": True} if over else self._new(company)
        body = encode(alert)
        httpx2.post(
            self._address,
            content=body,
            headers={SIGNATURE_HEADER: keys.signature(self._secret, body)},
            timeout=HTTP_SECONDS,
        ).raise_for_status()
        words = "is well again" if over else "alerts"
        return f"{alert['device']} of {alert['company']} {words}: {alert['title']}"

    def _new(self, company: str) -> dict[str, Any]:
        chance = self._chance
        alert = {
            "id": f"watch-{chance.getrandbits(48):x}",
            "title": chance.choice(WATCHED),
            "company": company,
            "device": f"{chance.choice(DEVICES)}-{chance.randint(1, 40):02}",
            "severity": chance.choice(SEVERITIES),
        }
        self._open.append(alert)
        return alert


@transaction.atomic
def _key() -> str:
    """A key of this run's: the one of the run before was shown to nobody who is still there."""
    with acting_as(SENDER):
        for row in RmmKey.objects.filter(added_by=SENDER):
            keys.remove(row)
        return keys.make()
