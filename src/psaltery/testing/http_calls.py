"""JSON over HTTP, for tests that speak to the sandboxes and to the product from outside."""

import json
import urllib.request
from decimal import Decimal
from typing import Any


def call(url: str, method: str = "GET", body: Any = None, **headers: str) -> Any:
    """JSON over HTTP, Decimals kept; raises on 4xx and 5xx."""
    data = json.dumps(body, default=str).encode() if body is not None else None
    sent = {"Content-Type": "application/json", "Accept": "application/json", **headers}
    request = urllib.request.Request(url, data=data, method=method, headers=sent)  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        text = answer.read()
    return json.loads(text, parse_float=Decimal) if text else None
