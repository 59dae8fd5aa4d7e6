"""One function for each endpoint of Xero's Accounting API, and the connections list.

https://developer.xero.com/documentation/api/accounting/overview
"""

from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import quote

import msgspec

from psaltery.adapters.answers import Answer, unreadable
from psaltery.adapters.errors import Rejected, TryLater
from psaltery.adapters.http import Caller
from psaltery.adapters.xero import wire
from psaltery.kit.clock import now
from psaltery.records.drafts import Problem

T = TypeVar("T", bound=wire.Envelope)
Any_ = TypeVar("Any_")

ROOT = "/api.xro/2.0"
PAGE_MOST = 1000
# Prices with four decimals instead of two, for reading and writing alike.
# https://developer.xero.com/documentation/guides/how-to-guides/rounding-in-xero
UNIT_DECIMALS = 4
Params = Mapping[str, str | int]


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a list: a page of records changed since (UTC, ISO without zone; "" = all)."""

    page: int = 1
    size: int = PAGE_MOST
    since: str = ""


class Api:
    """The calls of one organisation. `tenant` "" sends no tenant (custom connections need none)."""

    def __init__(self, caller: Caller, tenant: str) -> None:
        self._caller = caller
        self._headers = {"Xero-Tenant-Id": tenant} if tenant else {}

    def read(
        self, path: str, type_: type[T], operation: str, params: Params, since: str = ""
    ) -> T | None:
        """The decoded answer, with a time of answering in any case; None for 404."""
        headers = self._headers | ({"If-Modified-Since": since} if since else {})
        answer = self._caller.call(
            "GET", ROOT + path, params=params, headers=headers, operation=operation
        )
        # `classify` lets a 404 through for reads: an unknown id is an answer, not a failure.
        if answer.status == 404:
            return None
        found = decoded(answer, type_)
        # The next run starts from Xero's clock, wherever this answer tells it.
        found.answered_at = found.answered_at or answer.headers.get("date", "") or f"{now():%FT%T}"
        return found

    def listed(
        self, path: str, type_: type[T], operation: str, params: Params, since: str = ""
    ) -> T:
        """Like `read`, where the list itself must exist."""
        found = self.read(path, type_, operation, params, since)
        if found is None:
            sentence = f"Xero knows no list at {path}. Is the address of the API right?"
            raise Rejected([Problem(code="document_not_found", message=sentence)])
        return found

    def page(self, path: str, type_: type[T], operation: str, part: Slice, params: Params) -> T:
        """One page of a paged list."""
        paging = {"page": part.page, "pageSize": part.size}
        return self.listed(path, type_, operation, {**params, **paging}, part.since)

    def write(
        self, method: str, path: str, operation: str, body: str, key: str, params: Params
    ) -> Answer:
        """Send a batch; the answer is success, or a 400 with a verdict for each element."""
        # Without `summarizeErrors` one bad element hides what became of the others.
        return self._caller.call(
            method,
            ROOT + path,
            params={"summarizeErrors": "false", **params},
            headers=self._headers,
            body=body.encode(),
            write=True,
            operation=operation,
            idempotency_key=key,
        )


def decoded(answer: Answer, type_: type[Any_]) -> Any_:
    """The body as structs. Raises TryLater for a cut body, Rejected for a shape nobody knows."""
    try:
        return wire.decode(answer.body, type_)
    except msgspec.ValidationError as wrong:
        sentence = f"The answer to {answer.operation} has a shape that Psaltery does not know"
        raise Rejected(
            [Problem(code="answer_unknown_shape", message=f"{sentence}: {wrong}")]
        ) from wrong
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise unreadable(answer) from wrong


# https://developer.xero.com/documentation/api/accounting/contacts#get-contacts
# Without archived ones a poll would never learn that a contact was archived.
def contacts(api: Api, part: Slice) -> wire.Contacts:
    """A page of all contacts."""
    params = {"includeArchived": "true", "order": "ContactID"}
    return api.page("/Contacts", wire.Contacts, "contacts.list", part, params)


# https://developer.xero.com/documentation/api/accounting/invoices#get-invoices
def invoices(api: Api, part: Slice) -> wire.Invoices:
    """A page of receivable invoices with their lines."""
    params: Params = {"where": 'Type=="ACCREC"', "order": "InvoiceID", "unitdp": UNIT_DECIMALS}
    return api.page("/Invoices", wire.Invoices, "invoices.list", part, params)


# https://developer.xero.com/documentation/api/accounting/invoices#get-invoices
def bills(api: Api, part: Slice) -> wire.Invoices:
    """A page of bills with their lines."""
    params: Params = {"where": 'Type=="ACCPAY"', "order": "InvoiceID", "unitdp": UNIT_DECIMALS}
    return api.page("/Invoices", wire.Invoices, "bills.list", part, params)


# https://developer.xero.com/documentation/api/accounting/creditnotes#get-creditnotes
def credit_notes(api: Api, part: Slice) -> wire.CreditNotes:
    """A page of receivable credit notes with their allocations and refunds."""
    params: Params = {
        "where": 'Type=="ACCRECCREDIT"',
        "order": "CreditNoteID",
        "unitdp": UNIT_DECIMALS,
    }
    return api.page("/CreditNotes", wire.CreditNotes, "credit_notes.list", part, params)


# https://developer.xero.com/documentation/api/accounting/payments#get-payments
# Refunds come with the credit they refund; a filter for both leaves the optimised path.
def payments(api: Api, part: Slice) -> wire.Payments:
    """A page of payments on receivable invoices, deleted ones included."""
    params = {"where": 'PaymentType=="ACCRECPAYMENT"', "order": "PaymentID"}
    return api.page("/Payments", wire.Payments, "payments.list", part, params)


# https://developer.xero.com/documentation/api/accounting/purchaseorders
# No list parameter and no optimised filter knows the number: one by one.
def purchase_order(api: Api, identity: str) -> wire.PurchaseOrders | None:
    """By id or number; None when unknown."""
    path = f"/PurchaseOrders/{_path(identity)}"
    return api.read(path, wire.PurchaseOrders, "purchase_orders.get", {})


# https://developer.xero.com/documentation/api/accounting/banktransactions
def bank_transaction(api: Api, identity: str) -> wire.BankTransactions | None:
    """By id; None when unknown."""
    params = {"unitdp": UNIT_DECIMALS}
    path = f"/BankTransactions/{_path(identity)}"
    return api.read(path, wire.BankTransactions, "bank_transactions.get", params)


# https://developer.xero.com/documentation/api/accounting/banktransactions#optimised-use-of-the-where-filter
def bank_transactions_where(api: Api, where: str) -> wire.BankTransactions:
    """Bank transactions that a filter chooses."""
    params: Params = {"where": where, "unitdp": UNIT_DECIMALS}
    return api.page(
        "/BankTransactions", wire.BankTransactions, "bank_transactions.find", Slice(), params
    )


# https://developer.xero.com/documentation/api/accounting/items#get-items
# The list is not paged and may be long, so only those that are asked for are read.
def items_where(api: Api, where: str) -> wire.Items:
    """Items that a filter chooses."""
    params: Params = {"where": where, "unitdp": UNIT_DECIMALS}
    return api.listed("/Items", wire.Items, "items.find", params)


# https://developer.xero.com/documentation/api/accounting/items#get-items
def item(api: Api, identity: str) -> wire.Items | None:
    """By id or code; None when unknown."""
    params = {"unitdp": UNIT_DECIMALS}
    return api.read(f"/Items/{_path(identity)}", wire.Items, "items.get", params)


# https://developer.xero.com/documentation/api/accounting/payments#optimised-use-of-the-where-filter
def payments_on(api: Api, invoice_id: str) -> wire.Payments:
    """All payments of one invoice, deleted ones included."""
    params = {"where": f'Invoice.InvoiceId==guid("{invoice_id}")', "order": "PaymentID"}
    return api.page("/Payments", wire.Payments, "payments.find", Slice(), params)


# https://developer.xero.com/documentation/api/accounting/payments#post-payments
# Any member beside the status, and Xero refuses: "Only Status accepted for updates."
def delete_payment(api: Api, payment_id: str, key: str) -> Answer:
    """Delete a payment; what it paid is open again."""
    path = f"/Payments/{_path(payment_id)}"
    return api.write("POST", path, "payments.delete", '{"Status":"DELETED"}', key, {})


CREDITS = {
    "credit_note": "CreditNotes",
    "overpayment": "Overpayments",
    "prepayment": "Prepayments",
}


# https://developer.xero.com/documentation/api/accounting/creditnotes#put-creditnotes
# https://developer.xero.com/documentation/api/accounting/overpayments#put-overpayments
# https://developer.xero.com/documentation/api/accounting/prepayments#put-prepayments
def allocate(api: Api, collection: str, credit_id: str, allocation: str, key: str) -> Answer:
    """Apply credit of one of CREDITS to one invoice."""
    path = f"/{collection}/{_path(credit_id)}/Allocations"
    name = "credit_notes" if collection == "CreditNotes" else collection.lower()
    body = f'{{"Allocations":[{allocation}]}}'
    return api.write("PUT", path, f"{name}.allocate", body, key, {})


# https://developer.xero.com/documentation/api/accounting/overpayments#get-overpayments
# There are few, and no filter on them is known to be optimised.
def overpayments(api: Api, part: Slice) -> wire.Overpayments:
    """A page of overpayments of both sides, with their allocations and refunds."""
    params: Params = {"order": "OverpaymentID"}
    return api.page("/Overpayments", wire.Overpayments, "overpayments.list", part, params)


# https://developer.xero.com/documentation/api/accounting/prepayments#get-prepayments
def prepayments(api: Api, part: Slice) -> wire.Prepayments:
    """A page of prepayments of both sides, with their allocations and refunds."""
    params: Params = {"order": "PrepaymentID"}
    return api.page("/Prepayments", wire.Prepayments, "prepayments.list", part, params)


# https://developer.xero.com/documentation/api/accounting/organisation#get-organisation
def organisation(api: Api) -> wire.Organisation:
    """The organisation itself. Raises TryLater for an empty answer."""
    found = api.listed("/Organisation", wire.Organisations, "organisation.get", {}).records
    if not found:
        raise TryLater("Xero answered without an organisation.")
    return found[0]


# https://developer.xero.com/documentation/api/accounting/accounts#get-accounts
def accounts(api: Api) -> list[wire.Account]:
    """The chart of accounts, archived ones included."""
    return api.listed("/Accounts", wire.Accounts, "accounts.list", {}).records


# https://developer.xero.com/documentation/api/accounting/taxrates#get-taxrates
def tax_rates(api: Api) -> list[wire.TaxRate]:
    """All tax rates, whatever their status."""
    return api.listed("/TaxRates", wire.TaxRates, "tax_rates.list", {}).records


# https://developer.xero.com/documentation/api/accounting/trackingcategories
def tracking_categories(api: Api) -> list[wire.TrackingCategory]:
    """All tracking categories with their options, archived ones included."""
    params = {"includeArchived": "true"}
    path = "/TrackingCategories"
    return api.listed(path, wire.TrackingCategories, "tracking.list", params).records


# https://developer.xero.com/documentation/api/accounting/currencies#get-currencies
def currencies(api: Api) -> list[wire.Currency]:
    """The currencies that the organisation has subscribed to."""
    return api.listed("/Currencies", wire.Currencies, "currencies.list", {}).records


# https://developer.xero.com/documentation/api/accounting/brandingthemes
def branding_themes(api: Api) -> list[wire.BrandingTheme]:
    """All branding themes."""
    return api.listed("/BrandingThemes", wire.BrandingThemes, "branding_themes.list", {}).records


# https://developer.xero.com/documentation/api/accounting/invoices#get-invoices
def invoice(api: Api, identity: str) -> wire.Invoices | None:
    """By id or number; None when unknown. A number may name several bills."""
    params = {"unitdp": UNIT_DECIMALS}
    return api.read(f"/Invoices/{_path(identity)}", wire.Invoices, "invoices.get", params)


# https://developer.xero.com/documentation/api/accounting/creditnotes#get-creditnotes
def credit_note(api: Api, identity: str) -> wire.CreditNotes | None:
    """By id or number; None when unknown."""
    params = {"unitdp": UNIT_DECIMALS}
    path = f"/CreditNotes/{_path(identity)}"
    return api.read(path, wire.CreditNotes, "credit_notes.get", params)


# https://developer.xero.com/documentation/api/accounting/contacts#get-contacts
def contact(api: Api, identity: str) -> wire.Contacts | None:
    """By id or ContactNumber, archived or not; None when unknown."""
    return api.read(f"/Contacts/{_path(identity)}", wire.Contacts, "contacts.get", {})


# https://developer.xero.com/documentation/api/accounting/invoices#optimised-use-of-the-where-filter
# Repeated parameters are ignored silently and return everything, hence one joined value.
def invoices_numbered(api: Api, type_: str, numbers: str) -> wire.Invoices:
    """Invoices of these comma-joined numbers, without lines, in any status."""
    params: Params = {
        "InvoiceNumbers": numbers,
        "where": f'Type=="{type_}"',
        "summaryOnly": "true",
    }
    return api.page("/Invoices", wire.Invoices, "invoices.find", Slice(), params)


# https://developer.xero.com/documentation/api/accounting/creditnotes#get-creditnotes
# Credit notes have no `summaryOnly`; `page` brings their lines along unasked.
def credit_notes_where(api: Api, where: str) -> wire.CreditNotes:
    """Credit notes that a filter chooses."""
    params: Params = {"where": where, "unitdp": UNIT_DECIMALS}
    return api.page("/CreditNotes", wire.CreditNotes, "credit_notes.find", Slice(), params)


# https://developer.xero.com/documentation/api/accounting/contacts#optimised-use-of-the-where-filter
# Xero compares names without regard to case and accents, and so do its own uniqueness checks.
def contacts_where(api: Api, where: str) -> wire.Contacts:
    """Contacts that a filter chooses, archived ones included."""
    params = {"where": where, "includeArchived": "true"}
    return api.page("/Contacts", wire.Contacts, "contacts.find", Slice(), params)


# https://developer.xero.com/documentation/api/accounting/contacts#optimised-use-of-the-where-filter
def contacts_searched(api: Api, term: str) -> wire.Contacts:
    """Contacts whose name, number or e-mail contains `term`, in any case."""
    params = {"searchTerm": term, "includeArchived": "true"}
    return api.page("/Contacts", wire.Contacts, "contacts.find", Slice(), params)


# https://developer.xero.com/documentation/api/accounting/requests-and-responses
# A POST could overwrite the invoice that has the number, after a write whose answer was lost.
def put(api: Api, collection: str, body: str, key: str) -> Answer:
    """Create; a number that exists is refused instead of overwritten."""
    operation = f"{collection.lower()}.create"
    return api.write("PUT", f"/{collection}", operation, body, key, _decimals(collection))


# https://developer.xero.com/documentation/api/accounting/requests-and-responses
def post(api: Api, collection: str, body: str, key: str) -> Answer:
    """Update by the id inside each element; also void, archive, restore."""
    operation = f"{collection.lower()}.update"
    return api.write("POST", f"/{collection}", operation, body, key, _decimals(collection))


# https://developer.xero.com/documentation/guides/oauth2/auth-flow/#5-check-the-tenants-youre-authorised-to-access
def links(caller: Caller, auth_event_id: str = "") -> list[wire.Link]:
    """What the token is connected to; with an id, only what that consent added."""
    params = {"authEventId": auth_event_id} if auth_event_id else {}
    answer = caller.call("GET", "/connections", params=params, operation="connections.list")
    return [] if answer.status == 404 else decoded(answer, list[wire.Link])


# https://developer.xero.com/documentation/guides/oauth2/auth-flow/#removing-connections
# Not marked as a write: to repeat it is harmless, so that it may be repeated.
def remove_link(caller: Caller, connection_id: str) -> None:
    """End a connection; one that is gone already (404) is as good as removed."""
    caller.call("DELETE", f"/connections/{_path(connection_id)}", operation="connections.delete")


# Contacts and payments have no prices, and an unknown parameter is not worth finding out about.
def _decimals(collection: str) -> Params:
    return {} if collection in ("Contacts", "Payments") else {"unitdp": UNIT_DECIMALS}


def _path(identity: str) -> str:
    return quote(identity, safe="")
