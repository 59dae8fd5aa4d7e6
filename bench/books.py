"""The Xero sandbox in a process of its own, and its organisation connected as a person would."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import msgspec

CLIENT_ID, CLIENT_SECRET = "bench-client", "bench-secret"
REDIRECT = "http://localhost/callback"


class Amounts(msgspec.Struct, frozen=True):
    """How much history the sandbox's organisation has."""

    contacts: int
    invoices: int
    payments: int

    @property
    def all(self) -> int:
        """Records of the three types together."""
        return self.contacts + self.invoices + self.payments

    def halved(self) -> "Amounts":
        """Half as much of everything."""
        return Amounts(self.contacts // 2, self.invoices // 2, self.payments // 2)


@contextmanager
def sandbox(
    amounts: Amounts, seed: int = 1, *, orgs: int = 1, limits: bool = False
) -> Iterator[str]:
    """The address of a running sandbox; it is stopped at the end.

    Each seed has organisations of its own, each with these amounts.
    """
    options = {"seed": seed, "orgs": orgs, **msgspec.structs.asdict(amounts)}
    words = [f"--{name}={amount}" for name, amount in options.items()]
    words += [] if limits else ["--no-limits"]
    words += [f"--client-id={CLIENT_ID}", f"--client-secret={CLIENT_SECRET}"]
    server = subprocess.Popen(
        [sys.executable, "-m", "psaltery.adapters.xero.sandbox", *words, "--port=0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        yield server.stdout.readline().split()[-1]
    finally:
        server.terminate()
        server.wait(30)


def connect(url: str, per_minute: int | None = 60_000) -> Any:
    """Connect the sandbox's organisations through the services; the first of them.

    `per_minute`: the calls that each may use; None: as many as is usual. Settings are changed for
    this process and its children.
    """
    from psaltery.connections import service
    from psaltery.connections.consent import begin_consent, complete_consent
    from psaltery.connections.models import Budget
    from psaltery.connections.organisations import choose

    _point_to(url)
    fields = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "mode": "web"}
    added = service.add("xero", f"Books at {url}", fields)
    consent_page = begin_consent(added, redirect_uri=REDIRECT)
    answer = httpx2.get(f"{consent_page}&sandbox_auto=allow")
    connection = complete_consent(answer.headers["location"], connection=added)
    choose(connection, list(connection.organisations.all()))
    if per_minute is not None:
        Budget.objects.update(per_minute=per_minute)
    return connection.organisations.order_by("pk").first()


def _point_to(url: str) -> None:
    from django.conf import settings

    for place in ("API", "IDENTITY", "LOGIN"):
        os.environ[f"PSALTERY_XERO_{place}_URL"] = url
        setattr(settings, f"XERO_{place}_URL", url)


def tokens(organisation: Any) -> tuple[str, str]:
    """The access token and the refresh token of a connected organisation, for other clients."""
    from psaltery.connections import vault

    kept = organisation.connection.token_set
    return vault.open_token(kept, "access"), vault.open_token(kept, "refresh")


def requests(url: str, since: int = 0) -> tuple[int, list[dict[str, Any]]]:
    """The sandbox's log of requests after number `since`, and the number of the last one."""
    answer = httpx2.get(f"{url}/_control/requests", params={"since": since}).json()
    return answer["last"], answer["requests"]
