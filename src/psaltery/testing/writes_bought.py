"""What makes each of our writes of purchases necessary, and what must be outside afterwards."""

from decimal import Decimal
from typing import Any

import httpx2

from psaltery.connections.consent import begin_consent, complete_consent
from psaltery.ledger.models import LedgerAccount
from psaltery.posting.models import Link
from psaltery.review.models import Card
from psaltery.testing.http_calls import call
from psaltery.testing.orders import order, receive, reprice, take_bills, vendor
from psaltery.testing.rig import REDIRECT, Rig
from psaltery.testing.situations import at, close
from psaltery.testing.writes import Begun, contacts_once, remove, the_one, unmark, want


def a_received_order(rig: Rig) -> Any:
    """An order to a vendor whose bills are posted."""
    take_bills(rig)
    rig.organisations = [at(rig, "Sydney")]
    (organisation,) = rig.organisations
    organisation.refresh_from_db()
    return order(rig, vendor(rig), (1, "100"))


def bills_are_made(rig: Rig) -> Begun:
    """Two vendors deliver."""
    made = a_received_order(rig)
    other = order(rig, vendor(rig, "Tasman Components"), (1, "30"))

    def happen() -> None:
        receive(rig, made, "PS1", "INV-77")
        receive(rig, other, "PS1", "INV-78")

    def check() -> None:
        the_one(rig, "Invoices", "INV-77", "110.00", "DRAFT")
        the_one(rig, "Invoices", "INV-78", "33.00", "DRAFT")
        contacts_once(rig)

    return Begun(happen, check)


def a_posted_bill(rig: Rig) -> tuple[Any, Link]:
    """The order, and its bill that is in step."""
    made = a_received_order(rig)
    receive(rig, made, "PS1", "INV-77")
    rig.sync()
    return made, Link.objects.select_related("document").get(books_kind="bill")


def a_bill_is_changed(rig: Rig) -> Begun:
    """Its price is corrected in the PSA."""
    made, link = a_posted_bill(rig)
    unmark(rig, link)
    return Begun(
        lambda: reprice(rig, made, "120"),
        lambda: the_one(rig, "Invoices", "INV-77", "132.00", "DRAFT"),
    )


def a_bill_is_deleted(rig: Rig) -> Begun:
    """Its order is deleted in the PSA."""
    made, link = a_posted_bill(rig)
    unmark(rig, link)
    return Begun(
        lambda: remove(rig, "purchaseOrders", link, made["id"]),
        lambda: the_one(rig, "Invoices", "INV-77", "110.00", "DELETED"),
    )


def an_order_is_entered(rig: Rig) -> Begun:
    """A person orders in the PSA."""
    a_received_order(rig)
    want(rig, purchase_orders=True)
    rig.sync()
    made: list[Any] = []

    def check() -> None:
        assert _orders(rig, made[0]) == [Decimal("55")]

    return Begun(lambda: made.append(order(rig, vendor(rig, "Tasman"), (1, "50"))), check)


def an_order_is_changed(rig: Rig) -> Begun:
    """Its price is corrected in the PSA."""
    made = a_received_order(rig)
    want(rig, purchase_orders=True)
    rig.sync()

    def check() -> None:
        assert _orders(rig, made) == [Decimal("132")]

    return Begun(lambda: reprice(rig, made, "120"), check)


def _orders(rig: Rig, made: Any) -> list[Decimal]:
    tenant = rig.organisations[0].external_id
    rows = call(f"{rig.books_url}/_control/documents/{tenant}/PurchaseOrders")
    mine = [row for row in rows if row["PurchaseOrderNumber"] == made["poNumber"]]
    return [Decimal(row["Total"]) for row in mine if row["Status"] != "DELETED"]


def money_is_spent(rig: Rig) -> Begun:
    """An expense of a member whose contact the books have just got."""
    name = _an_expense(rig)
    body = {"Name": name}
    return Begun(
        lambda: rig.write_books(rig.organisations[0], "Contacts", body),
        lambda: _spent(rig, "24.50"),
    )


def money_spent_is_changed(rig: Rig) -> Begun:
    """The member corrects the amount."""
    rig.write_books(rig.organisations[0], "Contacts", {"Name": _an_expense(rig)})
    rig.sync()
    (row,) = rig.psa_documents("expenses")
    body = {"collection": "expenses", "id": row["id"], "fields": {"amount": 30}}
    return Begun(
        lambda: call(f"{rig.psa_url}/_control/change", "POST", body),
        lambda: _spent(rig, "30"),
    )


def _an_expense(rig: Rig) -> str:
    """An expense that waits for its member to be in the books; the member's name."""
    rig.organisations = [take_bills(rig, bills=False)]
    rig.connection.fields = {**rig.connection.fields, "bank": "yes"}
    rig.connection.save()
    page = begin_consent(rig.connection, redirect_uri=REDIRECT)
    answer = httpx2.get(f"{page}&sandbox_auto=allow")
    complete_consent(answer.headers["location"], connection=rig.connection)
    (organisation,) = rig.organisations
    organisation.refresh_from_db()
    account = LedgerAccount.objects.filter(organisation=organisation, type="BANK", active=True)[0]
    rig.organisations = [at(rig, "Sydney")]
    want(rig, expenses="spend", spend_account=account.external_id)
    line = {"kind": "expense", "description": "Parking", "price": "24.50", "member": 1}
    close(rig, lines=[line])
    rig.sync()
    return Card.objects.get(state="open", code="contact_missing").subject


def _spent(rig: Rig, total: str) -> None:
    tenant = rig.organisations[0].external_id
    rows = call(f"{rig.books_url}/_control/documents/{tenant}/BankTransactions")
    live = [row for row in rows if row["Type"] == "SPEND" and row["Status"] != "DELETED"]
    assert [Decimal(row["Total"]) for row in live] == [Decimal(total)]
