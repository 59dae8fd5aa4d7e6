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


def decoded(answer: Answer, type_: type[T]) -> T:
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


def contacts(api: Api, part: Slice) -> wire.Contacts:
    """https://developer.xero.com/documentation/api/accounting/contacts#get-contacts

    Archived ones too: without them a poll would never learn that a contact was archived.
    """
    params = {"includeArchived": "true", "order": "ContactID"}
    return api.page("/Contacts", wire.Contacts, "contacts.list", part, params)


def invoices(api: Api, part: Slice) -> wire.Invoices:
    """https://developer.xero.com/documentation/api/accounting/invoices#get-invoices"""
    params: Params = {"where": 'Type=="ACCREC"', "order": "InvoiceID", "unitdp": UNIT_DECIMALS}
    return api.page("/Invoices", wire.Invoices, "invoices.list", part, params)


def credit_notes(api: Api, part: Slice) -> wire.CreditNotes:
    """https://developer.xero.com/documentation/api/accounting/creditnotes#get-creditnotes"""
    params: Params = {
        "where": 'Type=="ACCRECCREDIT"',
        "order": "CreditNoteID",
        "unitdp": UNIT_DECIMALS,
    }
    return api.page("/CreditNotes", wire.CreditNotes, "credit_notes.list", part, params)


def payments(api: Api, part: Slice) -> wire.Payments:
    """https://developer.xero.com/documentation/api/accounting/payments#get-payments

    Refunds come with the credit they refund; a filter for both would leave the optimised path.
    """
    params = {"where": 'PaymentType=="ACCRECPAYMENT"', "order": "PaymentID"}
    return api.page("/Payments", wire.Payments, "payments.list", part, params)


def overpayments(api: Api, part: Slice) -> wire.Overpayments:
    """https://developer.xero.com/documentation/api/accounting/overpayments#get-overpayments"""
    params: Params = {"order": "OverpaymentID"}
    return api.page("/Overpayments", wire.Overpayments, "overpayments.list", part, params)


def prepayments(api: Api, part: Slice) -> wire.Prepayments:
    """https://developer.xero.com/documentation/api/accounting/prepayments#get-prepayments"""
    params: Params = {"order": "PrepaymentID"}
    return api.page("/Prepayments", wire.Prepayments, "prepayments.list", part, params)


def organisation(api: Api) -> wire.Organisation:
    """https://developer.xero.com/documentation/api/accounting/organisation#get-organisation"""
    found = api.listed("/Organisation", wire.Organisations, "organisation.get", {}).records
    if not found:
        raise TryLater("Xero answered without an organisation.")
    return found[0]


def accounts(api: Api) -> list[wire.Account]:
    """https://developer.xero.com/documentation/api/accounting/accounts#get-accounts"""
    return api.listed("/Accounts", wire.Accounts, "accounts.list", {}).records


def tax_rates(api: Api) -> list[wire.TaxRate]:
    """https://developer.xero.com/documentation/api/accounting/taxrates#get-taxrates"""
    return api.listed("/TaxRates", wire.TaxRates, "tax_rates.list", {}).records


def tracking_categories(api: Api) -> list[wire.TrackingCategory]:
    """https://developer.xero.com/documentation/api/accounting/trackingcategories"""
    params = {"includeArchived": "true"}
    path = "/TrackingCategories"
    return api.listed(path, wire.TrackingCategories, "tracking.list", params).records


def currencies(api: Api) -> list[wire.Currency]:
    """https://developer.xero.com/documentation/api/accounting/currencies#get-currencies"""
    return api.listed("/Currencies", wire.Currencies, "currencies.list", {}).records


def branding_themes(api: Api) -> list[wire.BrandingTheme]:
    """https://developer.xero.com/documentation/api/accounting/brandingthemes"""
    return api.listed("/BrandingThemes", wire.BrandingThemes, "branding_themes.list", {}).records


def invoice(api: Api, identity: str) -> wire.Invoices | None:
    """https://developer.xero.com/documentation/api/accounting/invoices#get-invoices

    By id or number; None when unknown. A number may name several bills.
    """
    params = {"unitdp": UNIT_DECIMALS}
    return api.read(f"/Invoices/{_path(identity)}", wire.Invoices, "invoices.get", params)


def credit_note(api: Api, identity: str) -> wire.CreditNotes | None:
    """https://developer.xero.com/documentation/api/accounting/creditnotes#get-creditnotes"""
    params = {"unitdp": UNIT_DECIMALS}
    path = f"/CreditNotes/{_path(identity)}"
    return api.read(path, wire.CreditNotes, "credit_notes.get", params)


def contact(api: Api, identity: str) -> wire.Contacts | None:
    """https://developer.xero.com/documentation/api/accounting/contacts#get-contacts

    By id or ContactNumber, archived or not; None when unknown.
    """
    return api.read(f"/Contacts/{_path(identity)}", wire.Contacts, "contacts.get", {})


def invoices_numbered(api: Api, type_: str, numbers: str) -> wire.Invoices:
    """https://developer.xero.com/documentation/api/accounting/invoices#optimised-use-of-the-where-filter

    `numbers` comma-joined: repeated parameters are ignored silently and return everything.
    """
    params: Params = {
        "InvoiceNumbers": numbers,
        "where": f'Type=="{type_}"',
        "summaryOnly": "true",
    }
    return api.page("/Invoices", wire.Invoices, "invoices.find", Slice(), params)


def credit_notes_where(api: Api, where: str) -> wire.CreditNotes:
    """https://developer.xero.com/documentation/api/accounting/creditnotes#get-creditnotes"""
    params: Params = {"where": where, "unitdp": UNIT_DECIMALS}
    return api.page("/CreditNotes", wire.CreditNotes, "credit_notes.find", Slice(), params)


def contacts_where(api: Api, where: str) -> wire.Contacts:
    """https://developer.xero.com/documentation/api/accounting/contacts#optimised-use-of-the-where-filter"""
    params = {"where": where, "includeArchived": "true"}
    return api.page("/Contacts", wire.Contacts, "contacts.find", Slice(), params)


def contacts_searched(api: Api, term: str) -> wire.Contacts:
    """https://developer.xero.com/documentation/api/accounting/contacts#optimised-use-of-the-where-filter

    Substring of name, number, e-mail; any case.
    """
    params = {"searchTerm": term, "includeArchived": "true"}
    return api.page("/Contacts", wire.Contacts, "contacts.find", Slice(), params)


def put(api: Api, collection: str, body: str, key: str) -> Answer:
    """https://developer.xero.com/documentation/api/accounting/requests-and-responses

    Creates only; an existing number is refused instead of overwritten.
    """
    operation = f"{collection.lower()}.create"
    return api.write("PUT", f"/{collection}", operation, body, key, _decimals(collection))


def post(api: Api, collection: str, body: str, key: str) -> Answer:
    """https://developer.xero.com/documentation/api/accounting/requests-and-responses

    Updates by the id inside each element; also voids, archives, restores.
    """
    operation = f"{collection.lower()}.update"
    return api.write("POST", f"/{collection}", operation, body, key, _decimals(collection))


def links(caller: Caller, auth_event_id: str = "") -> list[wire.Link]:
    """https://developer.xero.com/documentation/guides/oauth2/auth-flow/#5-check-the-tenants-youre-authorised-to-access"""
    params = {"authEventId": auth_event_id} if auth_event_id else {}
    answer = caller.call("GET", "/connections", params=params, operation="connections.list")
    return [] if answer.status == 404 else answer.decode(list[wire.Link])


def remove_link(caller: Caller, connection_id: str) -> None:
    """https://developer.xero.com/documentation/guides/oauth2/auth-flow/#removing-connections

    One that is gone already (404) is as good as removed, and repeating is harmless.
    """
    caller.call("DELETE", f"/connections/{_path(connection_id)}", operation="connections.delete")


def _decimals(collection: str) -> Params:
    return {} if collection == "Contacts" else {"unitdp": UNIT_DECIMALS}


def _path(identity: str) -> str:
    return quote(identity, safe="")
