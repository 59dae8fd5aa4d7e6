"""Trying each permission that the product needs, without changing anything."""

from collections.abc import Callable
from functools import partial

from psaltery.adapters.connectwise.client import Client
from psaltery.adapters.connectwise.facts import export_request
from psaltery.adapters.connectwise.permissions import NEEDS, Need
from psaltery.adapters.errors import BadSettings, Rejected
from psaltery.records.psa import Permission

_ACCOUNTING = "/finance/accounting"
_NO_RECORD = "0"


def permissions(client: Client) -> tuple[Permission, ...]:
    """One entry for each line of the security role. Raises NeedsReconnect when the keys themselves
    are refused, and BadSettings for a wrong client id or company."""
    tried = [_tried(need, partial(_read, client, need)) for need in NEEDS]
    return (*tried, _tried(_PAYMENTS, partial(_write_nothing, client)))


_PAYMENTS = Need(
    name="Finance > Invoicing: Add, Edit, Delete",
    level="All",
    needed_for="writing payments onto invoices",
    paths=("/finance/invoices",),
)


def _read(client: Client, need: Need) -> None:
    if need.paths[0] == _ACCOUNTING:
        # A POST is "add" to the role, so that a read of a list would prove too little.
        client.export(export_request(invoices=[0]))
    else:
        client.try_read(need.paths[0])


def _write_nothing(client: Client) -> None:
    # A change to a record that can't exist: denied before it is looked for, or not found.
    client.patch_payment(_NO_RECORD, _NO_RECORD, {"amount": 0})


def _tried(need: Need, attempt: Callable[[], None]) -> Permission:
    detail = ""
    granted = True
    try:
        attempt()
    except BadSettings as denied:
        # A wrong client id concerns every line alike: it is told once, as the connection's fault.
        if not denied.which.startswith("permission"):
            raise
        granted, detail = False, str(denied)
    except Rejected as refused:
        # Refused for another reason than the role, e.g. no record 0: it was allowed to ask.
        detail = "" if need is _PAYMENTS else str(refused)
    return Permission(
        name=f"{need.name} ({need.level})",
        needed_for=need.needed_for,
        granted=granted,
        detail=detail,
    )
