"""Live work in the demo: what people at Harbourline and its customers do, one thing at a time."""

import random
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx2
from django.db.models import QuerySet

from psaltery.adapters.connectwise import site
from psaltery.adapters.connectwise.sandbox.site import DEFAULT_KEY
from psaltery.adapters.sandboxing import decode, encode
from psaltery.demo.money import BANK
from psaltery.demo.monitor import Monitor
from psaltery.demo.names import TICKETS, WORK_NOTES
from psaltery.demo.offices import TILL
from psaltery.demo.site import LICENCES, STOCK
from psaltery.demo.stage import Stage
from psaltery.desk.models import Company, Ticket
from psaltery.ledger.models import BillingInvoice, Customer
from psaltery.posting.models import Link
from psaltery.records.books import Status

Wire = dict[str, Any]
HTTP_SECONDS = 30


class Live:
    """Chooses what happens next, and does it in the sandboxes as a person would."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self._stage = stage
        # Nothing secret hangs on it; the same seed makes the same choices.
        self._chance = random.Random(f"{seed}:live")  # noqa: S311
        self._monitor = Monitor(stage.address, self._chance)
        # Invoices that were touched just now are passed by: the mirror may not show it yet.
        self._touched: deque[str] = deque(maxlen=50)
        self._psa = httpx2.Client(
            base_url=f"{stage.psa_url}/v4_6_release/apis/3.0",
            headers={**_headers(), "Content-Type": "application/json"},
            timeout=HTTP_SECONDS,
        )
        self._kinds: tuple[tuple[int, Callable[[], str]], ...] = (
            (30, self._close_invoice),
            (34, self._pay),
            (10, self._approve),
            (7, self._take),
            (6, self._edit_contact),
            (4, self._edit_invoice),
            (9, self._open_ticket),
            (9, self._close_ticket),
            (8, self._monitored),
        )

    def pause(self, seconds: float) -> float:
        """How long until the next thing happens; about `seconds`."""
        return seconds * self._chance.uniform(0.5, 1.5)

    def happen(self) -> str:
        """Let one thing happen; says what, for the log."""
        weights = [weight for weight, _ in self._kinds]
        kind = self._chance.choices(self._kinds, weights)[0][1]
        moment = datetime.now(UTC).astimezone()
        try:
            return f"{moment:%H:%M:%S}  {kind()}"
        except httpx2.HTTPStatusError as error:
            # What we know of the other side may be some seconds old, as it is for people.
            return f"{moment:%H:%M:%S}  Refused by the sandbox: {error.response.text[:200]}"
        except httpx2.TransportError as error:
            # A busy machine: whether the sandbox still runs is asked before each thing.
            return f"{moment:%H:%M:%S}  The sandbox did not answer: {type(error).__name__}"

    # In the PSA

    def _close_invoice(self) -> str:
        # Brisbane has no route on purpose: live invoices are meant to arrive.
        company = self._any(Company.objects.filter(is_vendor=False).exclude(territory="Brisbane"))
        if company is None:
            return "The PSA has no customers yet."
        lines = [self._line() for _ in range(self._chance.randint(1, 4))]
        # Once in a while somebody sells what nobody has mapped.
        if self._chance.random() < 0.06:
            lines.append({"item": "CAM-G5", "quantity": self._chance.randint(1, 6)})
        body = {"company": int(company.external_id), "lines": lines, "department": "Procurement"}
        made = self._control(self._stage.psa_url, "create_invoice", body)
        number, total = made["invoiceNumber"], made["total"]
        return f"Invoice {number} of {company.name} was closed: {company.currency} {total:,.2f}"

    def _line(self) -> Wire:
        chance = self._chance
        if chance.random() < 0.4:
            hours = Decimal(chance.randint(1, 24)) / 4
            text = chance.choice(WORK_NOTES)
            return {"kind": "time", "description": text, "quantity": hours}
        return {"item": chance.choice((*STOCK, *LICENCES)), "quantity": chance.randint(1, 8)}

    def _open_ticket(self) -> str:
        company = self._any(Company.objects.filter(is_vendor=False))
        if company is None:
            return "The PSA has no customers yet."
        summary = self._chance.choice(TICKETS)
        body = {
            "summary": summary,
            "company": {"id": int(company.external_id)},
            "board": {"id": 1},
        }
        self._call("POST", "/service/tickets", body)
        return f"{company.name} opened a ticket: {summary}"

    def _close_ticket(self) -> str:
        ticket = self._any(Ticket.objects.filter(closed=False))
        if ticket is None:
            return self._open_ticket()
        change = [{"op": "replace", "path": "status", "value": {"name": "Closed"}}]
        self._call("PATCH", f"/service/tickets/{ticket.external_id}", change)
        return f"Ticket {ticket.external_id} was closed: {ticket.summary}"

    def _monitored(self) -> str:
        company = self._any(Company.objects.filter(is_vendor=False))
        return self._monitor.happen(company.name) if company else "Nothing is monitored yet."

    def _take(self) -> str:
        """Somebody at the counter takes a card for an invoice on which no money lies yet."""
        fresh = BillingInvoice.objects.filter(
            organisation__name=TILL.organisation, amount_paid=0, amount_credited=0
        )
        invoice = self._invoice(Status.AUTHORISED, fresh)
        known = (
            Link.objects.filter(books_id=invoice.external_id) if invoice else Link.objects.none()
        )
        link = known.select_related("document").first()
        if link is None or invoice is None:
            return self._close_invoice()
        amount = invoice.amount_due.quantize(Decimal("0.01"))
        body = {"id": int(link.document.external_id), "amount": amount, "type": "Card"}
        self._control(self._stage.psa_url, "enter_payment", body)
        name, currency = invoice.customer_name, invoice.currency
        return f"{name} paid {invoice.number} by card, in the PSA: {currency} {amount:,.2f}"

    # In the books

    def _pay(self) -> str:
        invoice = self._invoice(Status.AUTHORISED)
        if invoice is None:
            return self._close_invoice()
        due = invoice.amount_due.quantize(Decimal("0.01"))
        part = self._chance.random() < 0.3 and due > 20
        amount = (due / 2).quantize(Decimal("0.01")) if part else due
        payment = {
            "Invoice": {"InvoiceID": invoice.external_id},
            "Account": {"Code": BANK},
            "Amount": amount,
            "Reference": f"EFT {invoice.number}",
        }
        self._edit(invoice.organisation.external_id, "Payments", None, payment)
        words = "part of " if part else ""
        name, currency = invoice.customer_name, invoice.currency
        return f"{name} paid {words}{invoice.number}: {currency} {amount:,.2f}"

    def _approve(self) -> str:
        invoice = self._invoice(Status.SUBMITTED)
        if invoice is None:
            return self._pay()
        tenant = invoice.organisation.external_id
        self._edit(tenant, "Invoices", invoice.external_id, {"Status": "AUTHORISED"})
        return f"The bookkeeper approved {invoice.number} of {invoice.customer_name}"

    def _edit_contact(self) -> str:
        contact = self._any(Customer.objects.filter(state="active", is_customer=True))
        if contact is None:
            return self._close_invoice()
        phone = {"PhoneType": "DEFAULT", "PhoneNumber": f"5550 {self._chance.randint(1000, 9999)}"}
        tenant = contact.organisation.external_id
        self._edit(tenant, "Contacts", contact.external_id, {"Phones": [phone]})
        return f"The bookkeeper changed the telephone number of {contact.name}"

    def _edit_invoice(self) -> str:
        invoice = self._invoice(Status.AUTHORISED)
        if invoice is None:
            return self._edit_contact()
        reference = f"PO {self._chance.randint(1000, 9999)}"
        tenant = invoice.organisation.external_id
        self._edit(tenant, "Invoices", invoice.external_id, {"Reference": reference})
        return f"The bookkeeper wrote {reference} on {invoice.number} of {invoice.customer_name}"

    # How it is done

    def _invoice(
        self, status: Status, among: QuerySet[BillingInvoice] | None = None
    ) -> BillingInvoice | None:
        """One with money open that nobody has touched since it was last read."""
        rows = BillingInvoice.objects.all() if among is None else among
        open_ = rows.filter(kind="receivable", status=status, amount_due__gt=0)
        found: BillingInvoice | None = self._any(open_.exclude(external_id__in=self._touched))
        if found is not None:
            self._touched.append(found.external_id)
        return found

    def _any(self, rows: Any) -> Any:
        """One of them by the demo's own chance; None when there is none."""
        ids = list(rows.order_by("pk").values_list("pk", flat=True))
        return rows.get(pk=self._chance.choice(ids)) if ids else None

    def _edit(self, tenant: str, kind: str, identifier: str | None, changes: Wire) -> None:
        body = {"tenant": tenant, "kind": kind, "id": identifier, "changes": changes}
        self._control(self._stage.books_url, "edit", body)

    def _control(self, url: str, action: str, body: Wire) -> Any:
        answer = httpx2.post(f"{url}/_control/{action}", content=encode(body), timeout=HTTP_SECONDS)
        return decode(answer.raise_for_status().content)

    def _call(self, method: str, path: str, body: Any) -> Any:
        answer = self._psa.request(method, path, content=encode(body))
        return decode(answer.raise_for_status().content)


def _headers() -> dict[str, str]:
    return site.key_headers(
        {
            "company": "harbour",
            "public_key": DEFAULT_KEY.public,
            "private_key": DEFAULT_KEY.private,
            "client_id": "harbourline-desk",
        }
    )
