"""Both sandboxes in this process, connected, read and mapped: for benchmarks that count."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def rig(companies: int, **amounts: int) -> Iterator[Any]:
    """A psaltery.testing.rig.Rig; `amounts` of history are for each organisation of the books."""
    from django.conf import settings

    from psaltery.testing.rig import make_rig

    made = make_rig(settings, companies=companies, **amounts)
    try:
        yield made
    finally:
        made.close()


LINES = [
    {"kind": "product", "description": "Firewall", "quantity": "2", "price": "120.55"},
    {"kind": "time", "description": "Installation", "quantity": "1.5", "price": "165"},
]


def close_invoices(made: Any, count: int, customers: int) -> None:
    """In the PSA, `count` invoices of Sydney's first `customers` customers are closed."""
    companies = made.companies("Sydney")[:customers]
    assert len(companies) == customers, f"the sandbox has {len(companies)} customers in Sydney"
    for number in range(count):
        company = companies[number % customers]
        made.close_invoice(company=company, location="Sydney", tax_code="GST", lines=LINES)


def asked(made: Any, part: str, since: int = 0) -> tuple[int, list[dict[str, Any]]]:
    """The log of the sandbox `part` ("psa", "books") after request `since`, and its last number."""
    from psaltery.testing.http_calls import call

    url = made.psa_url if part == "psa" else made.books_url
    told = call(f"{url}/_control/requests?since={since}")
    return told["last"], told["requests"]
