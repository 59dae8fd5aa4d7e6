"""ConnectWise's endpoints, one function each. Every call goes through the `Caller`.

Reference of all of them: https://developer.connectwise.com/Products/ConnectWise_PSA/REST
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from psaltery.adapters.answers import Answer
from psaltery.adapters.connectwise import wire, wire_accounting
from psaltery.adapters.connectwise.conditions import both, one_of, quoted
from psaltery.adapters.connectwise.failures import NO_PATH, NOT_FOUND, PERMISSION, has_code
from psaltery.adapters.connectwise.permissions import permission_for
from psaltery.adapters.connectwise.site import ACCEPT, codebase
from psaltery.adapters.errors import BadSettings, NeedsReconnect, Rejected
from psaltery.adapters.http import Caller
from psaltery.kit.clock import now, parse_http_date

R = TypeVar("R", bound=wire.Record)
T = TypeVar("T")
Fields = Mapping[str, str]
Params = Mapping[str, str | int]

PAGE_SIZE = 1000  # the most; higher is silently capped
# Amounts are numbers in ConnectWise's model. Digits are written as they are, never by a float.
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class Rows(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One page of a list, in the order of ids. `at`: the site's own clock."""

    rows: list[T]
    more: bool
    at: datetime

    @property
    def last(self) -> int:
        return max((row.id for row in self.rows), default=0)  # type: ignore[attr-defined]


class Client:
    """The endpoints of one site. Raises the four failures; see `failures.classify`."""

    def __init__(self, caller: Caller, fields: Fields) -> None:
        self._caller = caller
        self._company = fields["company"].strip()

    # -- lists ---------------------------------------------------------------------------------

    def page(
        self,
        path: str,
        type_: type[R],
        *,
        conditions: str = "",
        after: int = 0,
        size: int = PAGE_SIZE,
    ) -> Rows[R]:
        """The next rows with an id above `after`, in the order of ids.

        Forward-only paging, because its pages don't shift while records come and go; sites that
        don't know it are asked by id and order instead.
        https://developer.connectwise.com/Best_Practices/PSA_Pagination
        """
        params: dict[str, str | int] = {"pageSize": size}
        if conditions:
            params["conditions"] = conditions
        if after:
            params["pageId"] = after
        answer = self._call("GET", path, params=params, headers={"pagination-type": "forward-only"})
        rows = answer.decode(list[type_])  # type: ignore[valid-type]
        if not _ascending(rows, after):
            # The page that came is not the one that was asked for: nothing of it is used, or rows
            # with lower ids on later pages would never be seen.
            params = {"pageSize": size, "orderBy": "id asc"}
            params["conditions"] = both(conditions, f"id>{after}")
            answer = self._call("GET", path, params=params)
            rows = answer.decode(list[type_])  # type: ignore[valid-type]
        return Rows(rows=rows, more=_has_next(answer, len(rows), size), at=_site_time(answer))

    def every(self, path: str, type_: type[R], *, conditions: str = "") -> list[R]:
        """All rows of a list."""
        found: list[R] = []
        more, after = True, 0
        while more:
            rows = self.page(path, type_, conditions=conditions, after=after)
            found += rows.rows
            more, after = rows.more, rows.last
        return found

    def count(self, path: str, conditions: str = "") -> int:
        """How many rows a list has now; only good for showing progress."""
        params = {"conditions": conditions} if conditions else None
        return int(
            self._call("GET", f"{path}/count", params=params).decode(dict[str, int])["count"]
        )

    def by_ids(self, path: str, type_: type[R], ids: Sequence[int], field: str = "id") -> list[R]:
        """The rows of a list whose `field` is one of `ids`; few enough: see conditions.slices."""
        return self.every(path, type_, conditions=one_of(field, ids)) if ids else []

    # -- site ----------------------------------------------------------------------------------

    def try_read(self, path: str) -> None:
        """Read one id of a list, to learn whether that is allowed."""
        self._call("GET", path, params={"pageSize": 1, "fields": "id"})

    # -- invoices ------------------------------------------------------------------------------

    def invoice(self, invoice_id: str) -> wire.Invoice:
        """https://developer.connectwise.com/Products/ConnectWise_PSA/REST#/Invoices"""
        return self._call("GET", f"/finance/invoices/{int(invoice_id)}").decode(wire.Invoice)

    def invoice_info(self, invoice_id: str) -> wire.InvoiceInfo:
        """An invoice with its products, time and expenses, read by the site in one go.
        https://developer.connectwise.com/Products/ConnectWise_PSA/REST#/InvoiceInfos"""
        path = f"/finance/info/invoice/{int(invoice_id)}"
        return self._call("GET", path).decode(wire.InvoiceInfo)

    def payments(self, invoice_id: str) -> list[wire.InvoicePayment]:
        """https://developer.connectwise.com/Products/ConnectWise_PSA/REST#/InvoicePayments"""
        return self.every(f"/finance/invoices/{int(invoice_id)}/payments", wire.InvoicePayment)

    def create_payment(self, invoice_id: str, body: Mapping[str, Any]) -> wire.InvoicePayment:
        """A new payment record, or the application of a credit memo (`credit`)."""
        path = f"/finance/invoices/{int(invoice_id)}/payments"
        return self._write("POST", path, body).decode(wire.InvoicePayment)

    def patch_payment(
        self, invoice_id: str, payment_id: str, changes: Mapping[str, Any]
    ) -> wire.InvoicePayment:
        """PATCH and not PUT: PUT sets every field that is left out to null."""
        path = f"/finance/invoices/{int(invoice_id)}/payments/{int(payment_id)}"
        body = [{"op": "replace", "path": name, "value": new} for name, new in changes.items()]
        return self._write("PATCH", path, body).decode(wire.InvoicePayment)

    def delete_payment(self, invoice_id: str, payment_id: str) -> None:
        """Remove a payment record."""
        self._write("DELETE", f"/finance/invoices/{int(invoice_id)}/payments/{int(payment_id)}")

    # -- accounting interface ------------------------------------------------------------------

    def export(self, request: Mapping[str, Any]) -> wire_accounting.GLExport:
        """The GL-coded preview of what is unposted; changes nothing though it is a POST.
        https://developer.connectwise.com/Products/ConnectWise_PSA/REST#/Accountings"""
        body = _ENCODER.encode(request)
        return self._call("POST", "/finance/accounting/export", body=body).decode(
            wire_accounting.GLExport
        )

    def export_batch(self, batch_id: int, request: Mapping[str, Any]) -> wire_accounting.GLExport:
        """The GL-coded content of a batch; changes nothing."""
        path = f"/finance/accounting/batches/{batch_id}/export"
        return self._call("POST", path, body=_ENCODER.encode(request)).decode(
            wire_accounting.GLExport
        )

    def batches(self, batch_identifier: str) -> list[wire_accounting.AccountingBatch]:
        """The batches of exactly this identifier."""
        conditions = f"batchIdentifier={quoted(batch_identifier)}"
        path = "/finance/accounting/batches"
        found = self.every(path, wire_accounting.AccountingBatch, conditions=conditions)
        # Compared once more: how text is compared is the site's database's choice (case, blanks).
        return [batch for batch in found if batch.batch_identifier == batch_identifier]

    def create_batch(self, request: Mapping[str, Any]) -> None:
        """Mark GL entries as posted. The answer does not tell the batch's id."""
        self._write("POST", "/finance/accounting/batches", request)

    def delete_batch(self, batch_id: str) -> None:
        """Un-post what the batch holds; refused when it is closed."""
        self._write("DELETE", f"/finance/accounting/batches/{int(batch_id)}")

    # -- one record ----------------------------------------------------------------------------

    def purchase_order(self, order_id: int) -> wire.PurchaseOrder:
        """https://developer.connectwise.com/Products/ConnectWise_PSA/REST#/PurchaseOrders"""
        path = f"/procurement/purchaseorders/{order_id}"
        return self._call("GET", path).decode(wire.PurchaseOrder)

    def expense(self, expense_id: str) -> wire.ExpenseEntry:
        """https://developer.connectwise.com/Products/ConnectWise_PSA/REST#/ExpenseEntries"""
        return self._call("GET", f"/expense/entries/{int(expense_id)}").decode(wire.ExpenseEntry)

    # -- callbacks -----------------------------------------------------------------------------

    def callbacks(self) -> list[wire.CallbackEntry]:
        """https://developer.connectwise.com/Best_Practices/PSA_Callbacks"""
        return self.every("/system/callbacks", wire.CallbackEntry)

    def create_callback(self, body: Mapping[str, Any]) -> wire.CallbackEntry:
        """Register an address that ConnectWise calls on changes."""
        return self._write("POST", "/system/callbacks", body).decode(wire.CallbackEntry)

    def delete_callback(self, callback_id: str) -> None:
        """Stop the calls to one address."""
        self._write("DELETE", f"/system/callbacks/{int(callback_id)}")

    # -- the way there -------------------------------------------------------------------------

    def _write(self, method: str, path: str, body: object = None) -> Answer:
        encoded = None if body is None else _ENCODER.encode(body)
        return self._call(method, path, body=encoded, write=True)

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        write: bool = False,
    ) -> Answer:
        used = codebase(self._caller, self._company)
        send = _Request(method, path, params, headers or {}, body, write)
        try:
            return self._send(used, send)
        except Rejected as refused:
            if not (has_code(refused, NOT_FOUND) or has_code(refused, NO_PATH)):
                raise
            # After an upgrade of the site the old codebase answers 404 to everything.
            fresh = codebase(self._caller, self._company, fresh=True)
            if fresh == used:
                # Cloud sites answer 404 to keys they refuse. Without this a record would seem
                # gone, and its document in the books would be voided.
                self._prove_keys(used)
                raise
        # Safe for a write, too: what answered 404 has carried out nothing.
        return self._send(fresh, send)

    def _send(self, code: str, request: "_Request") -> Answer:
        try:
            return self._caller.call(
                request.method,
                f"/{code}apis/3.0{request.path}",
                params=request.params,
                headers={"Accept": ACCEPT, **request.headers},
                body=request.body,
                write=request.write,
                operation=_operation(request.method, request.path),
            )
        except BadSettings as denied:
            if denied.which != PERMISSION:
                raise
            need = permission_for(request.path)
            raise BadSettings(
                f"The API member's security role lacks “{need.name}”, needed for "
                f"{need.needed_for}. ({denied})",
                which=f"permission:{need.name}",
            ) from denied

    def _prove_keys(self, code: str) -> None:
        probe: Params = {"pageSize": 1, "fields": "id"}
        try:
            self._send(code, _Request("GET", "/company/companies", probe, {}, None, False))
        except Rejected as refused:
            raise NeedsReconnect(
                "ConnectWise answers “not found” to everything: it refuses the keys, or the "
                "company is another one. Check company and keys with Reconnect.",
                code="keys_refused",
            ) from refused
        except BadSettings:
            return  # denied is not refused: the keys are known


class _Request(msgspec.Struct, frozen=True):
    method: str
    path: str
    params: Params | None
    headers: Mapping[str, str]
    body: bytes | None
    write: bool


def _operation(method: str, path: str) -> str:
    """E.g. "GET finance/invoices/{id}/payments": the same for all records, for counting."""
    parts = ["{id}" if part.isdigit() else part for part in path.strip("/").split("/")]
    return f"{method} {'/'.join(parts)}"


def _ascending(rows: Sequence[wire.Record], after: int) -> bool:
    for row in rows:
        if row.id <= after:
            return False
        after = row.id
    return True


def _has_next(answer: Answer, found: int, size: int) -> bool:
    # Never sized from /count, which is another moment's.
    if found < size:
        return False
    link = answer.headers.get("link", "")
    return 'rel="next"' in link if link else True


def _site_time(answer: Answer) -> datetime:
    # lastUpdated is written by the site's clock; ours may be minutes off.
    return parse_http_date(answer.headers.get("date", "")) or now()
