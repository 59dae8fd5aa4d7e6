"""Xero as `Books`: the methods of the contract over the client's endpoints."""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import quote

from psaltery.adapters.contract import Elements, Page, Prepared
from psaltery.adapters.errors import Rejected
from psaltery.adapters.http import Caller
from psaltery.adapters.xero import client, elements, feeds, translate
from psaltery.adapters.xero.client import Api
from psaltery.adapters.xero.outcomes import (
    allocation_problems,
    invoice_outcome,
    item_outcome,
    note_outcome,
    order_outcome,
    outcomes,
    spend_outcome,
)
from psaltery.records.books import BooksSettings, Customer, Organisation, Settlement, Tenant
from psaltery.records.drafts import (
    Action,
    BooksKind,
    ContactDraft,
    ItemDraft,
    Outcome,
    PaymentDraft,
)

T = TypeVar("T")
# https://developer.xero.com/documentation/api/accounting/requests-and-responses
BATCH_MOST = 50
# Xero keeps a key for about six minutes only: it guards a repeat at once, and the look-up by
# number guards all that comes later.
KEY_MOST = 128
# URLs stay far below what proxies take, and an OR of `where` stays cheap for Xero.
_JOINED_MOST = 1200
_OR_MOST = 10
_NOT_IN_WHERE = '"\\'
_TYPES = {BooksKind.INVOICE: "ACCREC", BooksKind.BILL: "ACCPAY"}


class XeroBooks:
    """One organisation of Xero."""

    def __init__(self, caller: Caller, tenant: str) -> None:
        self._api = Api(caller, tenant)

    @property
    def batch_size(self) -> int:
        """About 50 is what Xero advises; errors get costly above."""
        return BATCH_MOST

    def organisation(self) -> Organisation:
        """The organisation's facts. One call, which Xero does not count as egress."""
        return translate.organisation(client.organisation(self._api))

    def settings(self) -> BooksSettings:
        """All lists that mappings choose from. Six calls."""
        api = self._api
        return BooksSettings(
            organisation=self.organisation(),
            accounts=tuple(map(translate.account, client.accounts(api))),
            tax_rates=tuple(map(translate.tax_rate, client.tax_rates(api))),
            tracking=tuple(map(translate.tracking_category, client.tracking_categories(api))),
            currencies=tuple(currency.code for currency in client.currencies(api)),
            branding_themes=tuple(map(translate.branding_theme, client.branding_themes(api))),
        )

    def pull(self, feed: str, cursor: str | None) -> Page[Any]:
        """The next page of a feed; "settings" is one page with one BooksSettings."""
        if feed == "settings":
            return Page(records=(self.settings(),), cursor="{}", more=False, total=1, full=True)
        return feeds.pull(self._api, feed, cursor)

    def count(self, feed: str) -> int | None:
        """The records of a feed by Xero's own count, which comes with a page of one. One call."""
        return feeds.count(self._api, feed)

    def prepare(self, action: Action, draft: Elements) -> Prepared:
        """The exact element for a write. Pure. A payment can only be created."""
        if isinstance(draft, ItemDraft):
            body = elements.encoded(elements.item(action, draft))
            return Prepared(kind=elements.ITEM, action=action, body=body)
        if isinstance(draft, PaymentDraft):
            body = elements.encoded(elements.payment(draft))
            return Prepared(kind=elements.PAYMENT, action=action, body=body)
        if isinstance(draft, ContactDraft):
            body = elements.encoded(elements.contact(action, draft))
            return Prepared(kind=elements.CONTACT, action=action, body=body)
        body = elements.encoded(elements.document(action, draft))
        return Prepared(kind=draft.kind.value, action=action, body=body)

    def send(self, elements_: Sequence[Prepared], key: str) -> tuple[Outcome, ...]:
        """Send up to 50 elements of one kind and action in one request, once.

        PUT creates (an existing number is refused, never overwritten), POST updates and voids.
        Raises TryLater(uncertain=True) when some may have been carried out without a verdict.
        """
        first = elements_[0]
        if len(elements_) > BATCH_MOST:
            raise ValueError(f"a batch has at most {BATCH_MOST} elements")
        if len(key) > KEY_MOST or not key.isascii():
            raise ValueError(f"an idempotency key has at most {KEY_MOST} ASCII signs")
        if any((one.kind, one.action) != (first.kind, first.action) for one in elements_):
            raise ValueError("the elements of one batch are of one kind and action")
        collection = elements.collection(first.kind)
        body = f'{{"{collection}":[{",".join(one.body for one in elements_)}]}}'
        # PUT for new ones: after a lost answer it is refused where POST would write over the first.
        write = client.put if first.action is Action.CREATE else client.post
        return outcomes(write(self._api, collection, body, key), elements_, collection)

    def find_documents(self, kind: BooksKind, numbers: Sequence[str]) -> tuple[Outcome, ...]:
        """Documents of these numbers in any status; one number may be that of several bills."""
        if kind is BooksKind.CREDIT_NOTE:
            return self._find_credit_notes(numbers)
        if kind is BooksKind.PURCHASE_ORDER:
            return tuple(self._find_orders(numbers))
        if kind is BooksKind.SPEND:
            return self._find_spent(numbers)
        type_ = _TYPES[kind]
        joined = [number for number in numbers if number and "," not in number]
        found = [
            raw
            for part in _sliced(joined)
            for raw in client.invoices_numbered(self._api, type_, ",".join(part)).records
        ]
        # A comma ends a number in a joined list, so these are asked for one by one.
        for number in {number for number in numbers if "," in number}:
            one = client.invoice(self._api, number)
            found += one.records if one else []
        # A look-up by number may also find a document by its id; and Xero ignores case.
        wanted = {number.casefold() for number in numbers}
        return tuple(
            invoice_outcome(raw)
            for raw in found
            if raw.invoice_number.casefold() in wanted and raw.type == type_
        )

    def _find_credit_notes(self, numbers: Sequence[str]) -> tuple[Outcome, ...]:
        # There is no list parameter for them, and a number in `where` is not optimised by Xero.
        def one(number: str) -> list[Any]:
            found = client.credit_note(self._api, number)
            return found.records if found else []

        def many(where: str) -> list[Any]:
            return client.credit_notes_where(self._api, where).records

        found = _any_of("CreditNoteNumber", numbers, many, one)
        return tuple(note_outcome(raw) for raw in found if raw.type == "ACCRECCREDIT")

    def _find_orders(self, numbers: Sequence[str]) -> Iterator[Outcome]:
        for number in dict.fromkeys(numbers):
            found = client.purchase_order(self._api, number)
            for raw in found.records if found else ():
                # A look-up by number may also find an order by its id.
                if raw.number.casefold() == number.casefold():
                    yield order_outcome(raw)

    def _find_spent(self, references: Sequence[str]) -> tuple[Outcome, ...]:
        """Money spent under exactly these references, deleted entries included."""

        def many(where: str) -> list[Any]:
            return client.bank_transactions_where(self._api, f'Type=="SPEND" AND ({where})').records

        plain = [text for text in references if not _needs_search(text)]
        wanted = {text.casefold() for text in plain}
        found = map(spend_outcome, _any_of("Reference", plain, many, lambda _: []))
        return tuple(one for one in found if one.number.casefold() in wanted)

    def get_document(self, kind: BooksKind, external_id: str) -> Outcome | None:
        """The document as it is now; None when Xero does not know it."""
        if kind is BooksKind.CREDIT_NOTE:
            notes = client.credit_note(self._api, external_id)
            return note_outcome(notes.records[0]) if notes and notes.records else None
        if kind is BooksKind.PURCHASE_ORDER:
            orders = client.purchase_order(self._api, external_id)
            return order_outcome(orders.records[0]) if orders and orders.records else None
        if kind is BooksKind.SPEND:
            spent = client.bank_transaction(self._api, external_id)
            return spend_outcome(spent.records[0]) if spent and spent.records else None
        invoices = client.invoice(self._api, external_id)
        return invoice_outcome(invoices.records[0]) if invoices and invoices.records else None

    def find_items(self, codes: Sequence[str]) -> tuple[Outcome, ...]:
        """Items of these codes (`number` is the code); only those found."""

        def many(where: str) -> list[Any]:
            return client.items_where(self._api, where).records

        def one(code: str) -> list[Any]:
            found = client.item(self._api, code)
            return found.records if found else []

        # A look-up by code may also find an item by its id.
        wanted = {code.casefold() for code in codes}
        found = map(item_outcome, _any_of("Code", codes, many, one))
        return tuple(outcome for outcome in found if outcome.number.casefold() in wanted)

    def payments_on(self, invoice_id: str) -> tuple[Settlement, ...]:
        """All payments that were ever made on an invoice, deleted ones included and marked."""
        found = client.payments_on(self._api, invoice_id).records
        return tuple(map(translate.payment, found))

    def touches_of(self, credit_id: str) -> tuple[Settlement, ...]:
        """Allocations and refunds of a credit note; a removed allocation is missing."""
        notes = client.credit_note(self._api, credit_id)
        if notes is None or not notes.records:
            return ()
        touches = translate.credit_note(notes.records[0])
        return tuple(one for one in touches if isinstance(one, Settlement))

    def remove_payment(self, payment_id: str, key: str) -> None:
        """Delete a payment. Raises Rejected with Xero's reason when it stays."""
        answer = client.delete_payment(self._api, payment_id, key)
        (verdict,) = outcomes(
            answer, [Prepared(kind=elements.PAYMENT, action=Action.VOID, body="{}")], "Payments"
        )
        if not verdict.accepted:
            raise Rejected(list(verdict.problems))

    def allocate(
        self,
        credit_id: str,
        invoice_id: str,
        amount: Decimal,
        key: str,
        *,
        source: str = "credit_note",
    ) -> None:
        """Apply the credit of a credit note, overpayment or prepayment to an invoice."""
        body = elements.encoded(elements.allocation(invoice_id, amount))
        answer = client.allocate(self._api, client.CREDITS[source], credit_id, body, key)
        if problems := allocation_problems(answer):
            raise Rejected(list(problems))

    def find_contacts(
        self, *, names: Sequence[str] = (), contact_numbers: Sequence[str] = ()
    ) -> tuple[Customer, ...]:
        """Contacts of these names (any case, as Xero compares) or numbers, archived ones too."""

        def many(where: str) -> list[Any]:
            return client.contacts_where(self._api, where).records

        def numbered(number: str) -> list[Any]:
            found = client.contact(self._api, number)
            return found.records if found else []

        raw = [
            *_any_of("Name", names, many, self._searched),
            *_any_of("ContactNumber", contact_numbers, many, numbered),
        ]
        # One contact may be found by its name and by its number.
        unique = {contact.contact_id: contact for contact in raw}
        return tuple(map(translate.customer, unique.values()))

    def _searched(self, name: str) -> list[Any]:
        """Contacts of exactly this name, by search: how `where` escapes a quote is undocumented."""
        # Searched by the longest part without a quote, then compared as a whole.
        longest = max(name.replace("\\", '"').split('"'), key=len).strip()
        found = client.contacts_searched(self._api, longest).records if longest else []
        return [contact for contact in found if contact.name.casefold() == name.casefold()]

    def get_contact(self, external_id: str) -> Customer | None:
        """The contact, archived or merged or not; None when Xero does not know it."""
        found = client.contact(self._api, external_id)
        return translate.customer(found.records[0]) if found and found.records else None

    def web_address(self, kind: str, external_id: str, short_code: str) -> str:
        """Where a person sees it. Pure.

        https://developer.xero.com/documentation/guides/how-to-guides/deep-link-xero
        """
        code, identity = quote(short_code, safe=""), quote(external_id, safe="")
        login = f"https://go.xero.com/organisationlogin/default.aspx?shortcode={code}&redirecturl="
        return {
            "invoice": f"https://go.xero.com/app/{code}/invoicing/view/{identity}",
            "contact": f"https://go.xero.com/app/{code}/contacts/contact/{identity}",
            "bill": f"{login}/AccountsPayable/Edit.aspx?InvoiceID={identity}",
            "credit_note": f"{login}/AccountsPayable/ViewCreditNote.aspx?creditNoteID={identity}",
            "purchase_order": f"{login}/Accounts/Payable/PurchaseOrders/View/{identity}/",
            "spend": f"{login}/Bank/ViewTransaction.aspx?bankTransactionID={identity}",
            "payment": f"{login}/Bank/ViewTransaction.aspx?bankTransactionID={identity}",
        }[kind]


class XeroConsent:
    """What a token reaches."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def tenants(self, auth_event_id: str = "") -> tuple[Tenant, ...]:
        """The organisations, PRACTICE and the like left out.

        With `auth_event_id` only those that this consent added. A custom connection that lists
        none is asked for its one organisation.
        """
        links = client.links(self._caller, auth_event_id)
        if links or auth_event_id:
            return translate.tenants(links)
        try:
            # Without a tenant header Xero answers for the one organisation of a custom connection.
            only = client.organisation(Api(self._caller, ""))
        except Rejected:
            return ()
        return (Tenant(external_id=only.organisation_id, connection_id="", name=only.name),)

    def remove_tenant(self, tenant: Tenant) -> None:
        """End the link in Xero; a link that is gone already is fine."""
        if tenant.connection_id:
            client.remove_link(self._caller, tenant.connection_id)


def _sliced(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts in runs whose joined length suits an address."""
    part: list[str] = []
    length = 0
    for text in dict.fromkeys(texts):
        size = len(quote(text)) + 3
        if part and (length + size > _JOINED_MOST or len(part) >= BATCH_MOST):
            yield part
            part, length = [], 0
        part.append(text)
        length += size
    if part:
        yield part


def _needs_search(text: str) -> bool:
    return any(sign in text for sign in _NOT_IN_WHERE)


def _any_of(
    field: str,
    values: Sequence[str],
    many: Callable[[str], list[T]],
    one: Callable[[str], list[T]],
) -> list[T]:
    """Records whose `field` equals one of `values`: some at a time, or one by one.

    One by one where the text can't stand in a filter, and where Xero finds the filter too costly.
    """
    distinct = [value for value in dict.fromkeys(values) if value]
    plain = [value for value in distinct if not _needs_search(value)]
    found = [record for value in distinct if _needs_search(value) for record in one(value)]
    for start in range(0, len(plain), _OR_MOST):
        part = plain[start : start + _OR_MOST]
        try:
            found += many(" OR ".join(f'{field}=="{value}"' for value in part))
        except Rejected as refused:
            if refused.problems[0].code != "high_volume":
                raise
            found += [record for value in part for record in one(value)]
    return found
