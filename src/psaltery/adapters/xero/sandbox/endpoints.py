"""The Accounting API's addresses: what is read, written and removed at each of them.

https://developer.xero.com/documentation/api/accounting/overview
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from werkzeug.wrappers import Request, Response

from psaltery.adapters.sandboxing import Document
from psaltery.adapters.xero.sandbox import (
    answers,
    contacts,
    credit_notes,
    dates,
    documents,
    invoices,
    payments,
    purchase_orders,
    setup_lists,
)
from psaltery.adapters.xero.sandbox.answers import Applied, Element, Failure, Refused
from psaltery.adapters.xero.sandbox.documents import Writing
from psaltery.adapters.xero.sandbox.listing import Lister, detail_of
from psaltery.adapters.xero.sandbox.resources import EMPTY, LISTS, SCOPES
from psaltery.adapters.xero.sandbox.state import ID_FIELDS, Books, Client, new_id

# What can be allocated to invoices.
CREDITS = ("CreditNotes", "Overpayments", "Prepayments")
NAMES = {name.lower(): name for name in (*SCOPES, "Setup")} | {"organisations": "Organisation"}
# Lists whose members can be read by number or code as well as by id.
NUMBERED = ("Invoices", "CreditNotes", "Contacts", "PurchaseOrders", "Items", "Accounts")


@dataclass(frozen=True)
class Call:
    """One call of an app on an organisation's books."""

    request: Request
    books: Books
    client: Client
    lister: Lister

    @property
    def writing(self) -> Writing:
        """How documents are to be written: PUT only creates, POST updates too."""
        four = self.request.args.get("unitdp") == "4"
        return Writing(self.books, self.client.id, four, self.request.method == "POST")

    def wrap(self) -> Document:
        """The envelope around what is answered."""
        return answers.envelope(self.client.name, self.books.clock.now())

    def answer(self, collection: str, items: list[Document]) -> Response:
        """A successful answer with these items."""
        return answers.body(self.request, {**self.wrap(), collection: items})


Writer = Callable[[Call, Document], Applied]


def _write_contact(call: Call, sent: Document) -> Applied:
    updating = call.request.method == "POST"
    return contacts.write(call.books, sent) if updating else contacts.create(call.books, sent)


def _write_payment(call: Call, sent: Document) -> Applied:
    identifier = sent.get("PaymentID")
    if call.request.method == "POST" and identifier:
        payment = call.books.get("Payments", str(identifier))
        if payment is None:
            raise Refused("Payment could not be found")
        return payments.delete(call.books, payment, sent)
    return payments.create(call.books, sent)


def _write_batch(call: Call, sent: Document) -> Applied:
    batch = call.books.get("BatchPayments", str(sent.get("BatchPaymentID") or ""))
    if batch and call.request.method == "POST":
        return payments.delete_batch(call.books, batch, sent)
    return payments.create_batch(call.books, sent)


def _write_item(call: Call, sent: Document) -> Applied:
    return setup_lists.write_item(call.books, sent, call.request.method == "POST")


WRITERS: dict[str, Writer] = {
    "Accounts": lambda call, sent: setup_lists.write_account(call.books, sent),
    "BankTransactions": lambda call, sent: payments.bank_transaction(call.writing, sent),
    "BatchPayments": _write_batch,
    "ContactGroups": lambda call, sent: contacts.write_group(call.books, sent),
    "Contacts": _write_contact,
    "CreditNotes": lambda call, sent: credit_notes.write(call.writing, sent),
    "Currencies": lambda call, sent: setup_lists.write_currency(call.books, sent),
    "Invoices": lambda call, sent: invoices.write(call.writing, sent),
    "Items": _write_item,
    "Payments": _write_payment,
    "PurchaseOrders": lambda call, sent: purchase_orders.write(call.writing, sent),
    "TaxRates": lambda call, sent: setup_lists.write_tax_rate(call.books, sent),
    "TrackingCategories": lambda call, sent: setup_lists.write_category(call.books, sent),
}
# Xero swallowed errors when several of these came together, so it takes only one.
ONE_AT_A_TIME = ("Accounts", "Currencies", "TaxRates", "TrackingCategories")


def dispatch(call: Call, endpoint: str, rest: list[str]) -> Response:
    """The answer at `/api.xro/2.0/{endpoint}/{rest}`. Raises `Failure`."""
    # https://developer.xero.com/documentation/api/organisation/
    if endpoint == "Organisation":
        return _organisation(call, rest)
    # https://developer.xero.com/documentation/api/reports/
    # https://developer.xero.com/documentation/api/invoice-reminders/
    if endpoint in ("Reports", "InvoiceReminders", *EMPTY):
        return _without_content(call, endpoint)
    if endpoint not in LISTS:
        return answers.not_found()
    match rest:
        case []:
            return _collection(call, endpoint)
        case [identifier]:
            return _single(call, endpoint, _found(call, endpoint, identifier))
        case [identifier, part, *more]:
            document = _found(call, endpoint, identifier)
            return _part(call, endpoint, document, part.lower(), more)
    return answers.not_found()


def _organisation(call: Call, rest: list[str]) -> Response:
    if [part.lower() for part in rest] == ["actions"]:
        return call.answer("Actions", setup_lists.actions(call.books))
    if rest[1:] and rest[1].lower() == "cissettings":
        return call.answer("CISSettings", [])
    return call.answer("Organisations", [documents.public(call.books.organisation())])


def _without_content(call: Call, endpoint: str) -> Response:
    if call.request.method != "GET":
        # Xero says 501, not 405.
        return Response("Method not implemented", 501, mimetype="text/plain")
    if endpoint == "InvoiceReminders":
        return call.answer("InvoiceReminders", [{"Enabled": False}])
    return call.answer(endpoint, [])


def _collection(call: Call, endpoint: str) -> Response:
    if call.request.method == "GET":
        return call.lister.answer(call.request, call.books, LISTS[endpoint], call.wrap())
    if endpoint not in WRITERS or call.request.method not in ("PUT", "POST"):
        return Response("Method not implemented", 501, mimetype="text/plain")
    sent = answers.posted(call.request, endpoint)
    if endpoint in ONE_AT_A_TIME and len(sent) > 1:
        raise Failure(answers.invalid(call.request, f"Only one of {endpoint} can be written"))
    return written(call, endpoint, sent)


def written(call: Call, endpoint: str, sent: list[Document]) -> Response:
    """Writes each element by itself: what is good is written whatever the others are."""
    writer = WRITERS[endpoint]
    elements = [_applied(call, endpoint, element, writer) for element in sent]
    return answers.elements_answer(
        call.request, endpoint, ID_FIELDS[endpoint], elements, call.wrap()
    )


def _applied(call: Call, endpoint: str, sent: Document, writer: Writer) -> Element:
    try:
        applied = writer(call, sent)
    except Refused as refused:
        return Element(sent, refused=refused)
    except (AttributeError, TypeError, ValueError) as error:
        # A member of the wrong type, such as text where an object is due.
        return Element(sent, refused=Refused(f"The data could not be read: {error}"))
    # Answers to writes carry the lines, whatever page was asked for.
    detail = replace(detail_of(call.request, single=True), level="paged")
    shown = LISTS[endpoint].view(applied.document, detail)
    return Element(sent, applied=Applied(shown, applied.warnings))


def _found(call: Call, endpoint: str, identifier: str) -> Document:
    """The document by id, number or code. Raises `Failure` with a 404."""
    found = call.books.get(endpoint, identifier)
    if found is None and endpoint in NUMBERED:
        index = "code" if endpoint in ("Items", "Accounts") else "number"
        named = call.books.lookup(endpoint, index, identifier)
        found = named[0] if named else None
    if found is None:
        raise Failure(answers.not_found())
    return found


def _single(call: Call, endpoint: str, document: Document) -> Response:
    identifier = str(document[ID_FIELDS[endpoint]])
    match call.request.method:
        case "GET":
            return call.answer(endpoint, [_in_full(call, endpoint, document)])
        case "DELETE":
            return _deleted(call, endpoint, document)
        case "POST" if endpoint in WRITERS:
            sent = [{**e, ID_FIELDS[endpoint]: identifier} for e in _one(call, endpoint)]
            return written(call, endpoint, sent)
    return Response("Method not implemented", 501, mimetype="text/plain")


def _one(call: Call, endpoint: str) -> list[Document]:
    sent = answers.posted(call.request, endpoint)
    if len(sent) != 1:
        raise Failure(answers.invalid(call.request, "Exactly one element must be specified"))
    return sent


def _in_full(call: Call, endpoint: str, document: Document) -> Document:
    shown = LISTS[endpoint].view(document, detail_of(call.request, single=True))
    if endpoint in ("Invoices", "CreditNotes"):
        shown = documents.in_full(call.books, shown)
    if endpoint == "Invoices":
        shown = {**shown, "Attachments": _attached(call, endpoint, document)}
    if endpoint == "ContactGroups":
        shown["Contacts"] = contacts.members(call.books, document["ContactGroupID"])
    return shown


def _deleted(call: Call, endpoint: str, document: Document) -> Response:
    try:
        if endpoint == "Accounts":
            document = setup_lists.delete_account(call.books, document)
        elif endpoint in ("TrackingCategories", "Items"):
            call.books.delete(endpoint, document[ID_FIELDS[endpoint]])
        else:
            return Response("Method not implemented", 501, mimetype="text/plain")
    except Refused as refused:
        raise Failure(answers.invalid(call.request, *refused.messages)) from refused
    # An item that is gone has nothing left to show.
    if endpoint == "Items":
        return Response(status=204)
    return call.answer(endpoint, [{**document, "Status": "DELETED"}])


def _part(call: Call, endpoint: str, document: Document, part: str, more: list[str]) -> Response:
    match part:
        # https://developer.xero.com/documentation/api/history-and-notes
        case "history":
            return _history(call, endpoint, document)
        case "attachments":
            return _attachments(call, endpoint, document, more)
        # https://developer.xero.com/documentation/api/accounting/creditnotes
        case "allocations" if endpoint in CREDITS:
            return _allocations(call, endpoint, document, more)
        case "options" if endpoint == "TrackingCategories":
            return _options(call, document, more)
        case "contacts" if endpoint == "ContactGroups":
            return _group_members(call, document, more)
        # https://developer.xero.com/documentation/api/accounting/invoices
        case "onlineinvoice" if endpoint == "Invoices":
            address = f"https://in.xero.com/{document['InvoiceID'][:24]}"
            return call.answer("OnlineInvoices", [{"OnlineInvoiceUrl": address}])
        # https://developer.xero.com/documentation/api/accounting/invoices
        case "email" if endpoint == "Invoices":
            return _email(call, document)
        case "cissettings" if endpoint == "Contacts":
            return call.answer("CISSettings", [])
    return answers.not_found()


def _history(call: Call, endpoint: str, document: Document) -> Response:
    identifier = str(document[ID_FIELDS[endpoint]])
    collection = call.books.collection(f"History/{identifier}")
    if call.request.method == "GET":
        return call.answer("HistoryRecords", call.books.store.all(collection))
    made = []
    for sent in answers.posted(call.request, "HistoryRecords"):
        # Longer notes are cut, not refused.
        details = str(sent.get("Details") or "")[:2500]
        record: Document = {"Changes": "Note", "User": "System Generated", "Details": details}
        record["DateUTC"] = dates.wire(call.books.clock.now())
        call.books.store.put(collection, new_id(), record)
        made.append(record)
    return call.answer("HistoryRecords", made)


def _attached(call: Call, endpoint: str, document: Document) -> list[Document]:
    return call.books.store.all(
        call.books.collection(f"Attachments/{document[ID_FIELDS[endpoint]]}")
    )


def _attachments(call: Call, endpoint: str, document: Document, more: list[str]) -> Response:
    collection = call.books.collection(f"Attachments/{document[ID_FIELDS[endpoint]]}")
    if call.request.method == "GET":
        return call.answer("Attachments", _attached(call, endpoint, document))
    if len(more) != 1:
        return answers.not_found()
    # A file of the same name replaces the old one.
    known = call.books.store.get(collection, more[0]) or {"AttachmentID": new_id()}
    if len(call.books.store.all(collection)) >= 10 and "FileName" not in known:
        raise Failure(answers.invalid(call.request, "A document can have at most 10 attachments"))
    attachment = {**known, "FileName": more[0], "Url": call.request.base_url}
    attachment["MimeType"] = call.request.mimetype or "application/octet-stream"
    attachment["ContentLength"] = len(call.request.get_data())
    call.books.store.put(collection, more[0], attachment)
    return call.answer("Attachments", [attachment])


def _allocations(call: Call, endpoint: str, document: Document, more: list[str]) -> Response:
    source = document[ID_FIELDS[endpoint]]
    if call.request.method == "DELETE" and more:
        undone = credit_notes.deallocate(call.books, endpoint, source, more[0].lower())
        return answers.body(call.request, undone) if undone else answers.not_found()
    if call.request.method == "GET":
        return call.answer("Allocations", document["Allocations"])
    elements = []
    for sent in answers.posted(call.request, "Allocations"):
        try:
            done = credit_notes.allocate(call.books, endpoint, source, sent)
            elements.append(Element(sent, applied=done))
        except Refused as refused:
            elements.append(Element(sent, refused=refused))
    return answers.elements_answer(
        call.request, "Allocations", "AllocationID", elements, call.wrap()
    )


def _options(call: Call, category: Document, more: list[str]) -> Response:
    identifier = category["TrackingCategoryID"]
    if call.request.method == "DELETE" and more:
        # An option that is in use cannot go; archiving is what Xero does instead.
        sent: list[Document] = [{"TrackingOptionID": more[0], "Status": "ARCHIVED"}]
    else:
        sent = answers.posted(call.request, "Options")
        sent = [{**e, "TrackingOptionID": more[0]} for e in sent] if more else sent
    try:
        made = [setup_lists.write_option(call.books, identifier, e).document for e in sent]
    except Refused as refused:
        raise Failure(answers.invalid(call.request, *refused.messages)) from refused
    return call.answer("Options", made)


def _group_members(call: Call, group: Document, more: list[str]) -> Response:
    try:
        if call.request.method == "PUT":
            sent = answers.posted(call.request, "Contacts")
            named = [str(contact.get("ContactID")) for contact in sent]
            added = [contacts.set_membership(call.books, group, c, True) for c in named]
            return call.answer("Contacts", added)
        known = contacts.members(call.books, group["ContactGroupID"])
        for identifier in more or [contact["ContactID"] for contact in known]:
            contacts.set_membership(call.books, group, identifier, False)
    except Refused as refused:
        raise Failure(answers.invalid(call.request, *refused.messages)) from refused
    return Response(status=204)


def _email(call: Call, invoice: Document) -> Response:
    usable = invoice["Status"] in ("SUBMITTED", "AUTHORISED", "PAID")
    if invoice["Type"] != "ACCREC" or not usable:
        raise Failure(answers.invalid(call.request, "The invoice cannot be emailed"))
    call.books.touch("Invoices", {**invoice, "SentToContact": True})
    return Response(status=204)
