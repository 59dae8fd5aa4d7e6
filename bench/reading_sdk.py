"""A process that reads the same pages with Xero's official Python client, and drops them."""

import sys
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any

from xero_python.accounting import AccountingApi  # type: ignore[import-untyped]
from xero_python.api_client import ApiClient  # type: ignore[import-untyped]
from xero_python.api_client.configuration import Configuration  # type: ignore[import-untyped]
from xero_python.api_client.oauth2 import OAuth2Token  # type: ignore[import-untyped]

from bench.scratch import peak_megabytes, tell
from psaltery.adapters.xero.client import PAGE_MOST, UNIT_DECIMALS


def main(url: str, token: str, tenant: str) -> None:
    """Read contacts, invoices and payments, all pages."""
    kept = {"access_token": token, "token_type": "Bearer", "expires_in": 1800, "scope": []}
    client = ApiClient(Configuration(oauth2_token=OAuth2Token("bench", "bench")))
    client.oauth2_token_getter(lambda: {**kept, "expires_at": 1e12})
    client.oauth2_token_saver(kept.update)
    api = AccountingApi(client, base_url=f"{url}/api.xro/2.0")
    started, busy = perf_counter(), process_time()
    records = sum(_read(read, tenant) for read in _lists(api))
    tell(
        {
            "seconds": perf_counter() - started,
            "cpu": process_time() - busy,
            "records": records,
            "peak_mb": peak_megabytes(),
        }
    )


Reader = Callable[..., Any]


def _lists(api: AccountingApi) -> list[tuple[Reader, str, dict[str, Any]]]:
    """What bench.reading_ours asks for, in the client's words."""
    return [
        (api.get_contacts, "contacts", {"order": "ContactID", "include_archived": True}),
        (
            api.get_invoices,
            "invoices",
            {"where": 'Type=="ACCREC"', "order": "InvoiceID", "unitdp": UNIT_DECIMALS},
        ),
        (
            api.get_payments,
            "payments",
            {"where": 'PaymentType=="ACCRECPAYMENT"', "order": "PaymentID"},
        ),
    ]


def _read(asked: tuple[Reader, str, dict[str, Any]], tenant: str) -> int:
    read, name, options = asked
    page = records = 0
    while True:
        page += 1
        answer = read(tenant, page=page, page_size=PAGE_MOST, **options)
        found = getattr(answer, name)
        records += len(found)
        if page >= answer.pagination.page_count:
            return records


if __name__ == "__main__":
    main(*sys.argv[1:])
