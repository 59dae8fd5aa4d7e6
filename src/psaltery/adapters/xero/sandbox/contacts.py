"""Contacts and contact groups.

https://developer.xero.com/documentation/api/accounting/contacts
"""

from __future__ import annotations

import re
from typing import Any

from psaltery.adapters.sandboxing import Document
from psaltery.adapters.xero.sandbox.answers import Applied, Refused
from psaltery.adapters.xero.sandbox.listing import Detail
from psaltery.adapters.xero.sandbox.state import ZERO_GUID, Books, fold, new_id

WRITABLE = (
    "ContactNumber", "AccountNumber", "Name", "FirstName", "LastName", "EmailAddress",
    "CompanyNumber", "TaxNumber", "ContactPersons", "Addresses", "Phones", "BankAccountDetails",
    "AccountsReceivableTaxType", "AccountsPayableTaxType", "DefaultCurrency", "PaymentTerms",
    "SalesDefaultAccountCode", "PurchasesDefaultAccountCode", "SalesDefaultLineAmountType",
    "PurchasesDefaultLineAmountType", "SalesTrackingCategories", "PurchasesTrackingCategories",
)  # fmt: skip
# Xero's limits, in characters.
LENGTHS = {
    "Name": 255, "FirstName": 255, "LastName": 255, "EmailAddress": 255, "ContactNumber": 50,
    "AccountNumber": 50, "CompanyNumber": 50, "TaxNumber": 50,
}  # fmt: skip
# What a list without a page shows.
BASE_FIELDS = (
    "ContactID", "ContactNumber", "AccountNumber", "ContactStatus", "Name", "FirstName",
    "LastName", "EmailAddress", "CompanyNumber", "BankAccountDetails", "TaxNumber",
    "AccountsReceivableTaxType", "AccountsPayableTaxType", "Addresses", "Phones", "IsSupplier",
    "IsCustomer", "DefaultCurrency", "UpdatedDateUTC",
)  # fmt: skip
# What summaryOnly drops; one cannot filter by these either.
HEAVY_FIELDS = {
    "Addresses", "Balances", "ContactGroups", "ContactPersons", "IsCustomer", "IsSupplier",
    "SalesDefaultAccountCode", "PurchasesDefaultAccountCode", "SalesTrackingCategories",
    "PurchasesTrackingCategories", "Phones",
}  # fmt: skip
ADDRESS_FIELDS = (
    "AddressLine1", "AddressLine2", "AddressLine3", "AddressLine4",
    "City", "Region", "PostalCode", "Country", "AttentionTo",
)  # fmt: skip
ADDRESS_TYPES = ("STREET", "POBOX")
PHONE_TYPES = ("DDI", "DEFAULT", "FAX", "MOBILE")
_EMAIL = re.compile(r"^[\x21-\x3f\x41-\x7e]+@[A-Za-z0-9.-]+\.[A-Za-z0-9-]+$")
ARCHIVED = (
    "The contact with the specified contact details has been archived. "
    "The contact must be un-archived before creating new invoices or credit notes."
)


def view(contact: Document, detail: Detail) -> Document:
    """The contact at the level of detail that the list or the single read has."""
    if detail.level == "list":
        shown = {name: contact[name] for name in BASE_FIELDS if name in contact}
        return {**shown, "ContactGroups": [], "ContactPersons": [], "HasValidationErrors": False}
    if detail.level == "summary":
        shown = {name: value for name, value in contact.items() if name not in HEAVY_FIELDS}
        return {**shown, "HasValidationErrors": False}
    return {**contact, "HasAttachments": False, "HasValidationErrors": False}


def nested(contact: Document) -> Document:
    """The contact as it stands inside the documents of a paged list."""
    return {
        "ContactID": contact["ContactID"],
        "Name": contact["Name"],
        "Addresses": [],
        "Phones": [],
        "ContactGroups": [],
        "ContactPersons": [],
        "HasValidationErrors": False,
    }


def create(books: Books, sent: Document) -> Applied:
    """PUT. Raises `Refused` when the name or a number is taken."""
    return Applied(books.touch("Contacts", _checked(books, blank(new_id()), sent)))


def write(books: Books, sent: Document) -> Applied:
    """POST: updates the contact that the id, the number or the name names, or creates one."""
    existing = _existing(books, sent)
    if existing is None:
        return create(books, sent)
    if existing["ContactStatus"] == "ARCHIVED" and sent.get("ContactStatus") != "ACTIVE":
        _refuse_archived_change(sent)
    changed = _checked(books, existing, sent)
    saved = books.touch("Contacts", changed)
    if saved["Name"] != existing["Name"]:
        _rename_on_documents(books, saved)
    return Applied(saved)


def _refuse_archived_change(sent: Document) -> None:
    changes = set(sent) - {"ContactID", "ContactStatus"}
    if changes:
        raise Refused("The contact is archived. It must be un-archived before it is changed.")


def _existing(books: Books, sent: Document) -> Document | None:
    if identifier := sent.get("ContactID"):
        found = books.get("Contacts", str(identifier))
        if found is None:
            raise Refused("The contact ID does not exist")
        return found
    # The number is the app's own key and goes before the name.
    for index, name in (("number", "ContactNumber"), ("name", "Name")):
        if sent.get(name):
            found_by = books.lookup("Contacts", index, str(sent[name]))
            active = [c for c in found_by if index == "number" or c["ContactStatus"] == "ACTIVE"]
            if active:
                return active[0]
    return None


def blank(identifier: str) -> Document:
    """A contact with nothing on it yet."""
    return {
        "ContactID": identifier,
        "ContactStatus": "ACTIVE",
        "Name": "",
        "EmailAddress": "",
        "BankAccountDetails": "",
        "Addresses": [_address(kind, {}) for kind in ADDRESS_TYPES],
        "Phones": [_phone(kind, {}) for kind in PHONE_TYPES],
        "IsSupplier": False,
        "IsCustomer": False,
        "SalesTrackingCategories": [],
        "PurchasesTrackingCategories": [],
        "ContactPersons": [],
        "ContactGroups": [],
    }


def _checked(books: Books, contact: Document, sent: Document) -> Document:
    changed = dict(contact)
    for name in WRITABLE:
        if sent.get(name) is not None:
            changed[name] = _cleaned(name, sent[name], contact)
    if status := sent.get("ContactStatus"):
        changed["ContactStatus"] = status
    messages = [*_field_problems(changed, sent), *_clashes(books, changed)]
    if messages:
        raise Refused(*messages)
    return changed


def _cleaned(name: str, value: Any, contact: Document) -> Any:
    if name == "Addresses":
        return _merged(contact.get(name, []), value, "AddressType", ADDRESS_TYPES, _address)
    if name == "Phones":
        return _merged(contact.get(name, []), value, "PhoneType", PHONE_TYPES, _phone)
    return " ".join(value.split()) if name == "Name" and isinstance(value, str) else value


def _merged(
    old: list[Document], sent: list[Document], key: str, kinds: tuple[str, ...], make: Any
) -> list[Document]:
    """Members of the kinds that were not sent stay as they are."""
    known = {entry.get(key): entry for entry in [*old, *sent]}
    return [make(kind, known.get(kind) or {}) for kind in dict.fromkeys([*kinds, *known])]


def _address(kind: str, sent: Document) -> Document:
    own = {name: sent[name] for name in ADDRESS_FIELDS if sent.get(name)}
    blank = {"City": "", "Region": "", "PostalCode": "", "Country": ""}
    return {"AddressType": kind, **blank, **own}


def _phone(kind: str, sent: Document) -> Document:
    names = ("PhoneNumber", "PhoneAreaCode", "PhoneCountryCode")
    return {"PhoneType": kind, **{name: sent.get(name) or "" for name in names}}


def _field_problems(contact: Document, sent: Document) -> list[str]:
    found = []
    if not contact["Name"]:
        found.append("The contact name must be specified.")
    if any(sign in contact["Name"] for sign in "<>"):
        found.append("The contact name cannot contain the characters < or >.")
    if contact["ContactStatus"] not in ("ACTIVE", "ARCHIVED", "GDPRREQUEST"):
        found.append("The contact status is not valid.")
    for name, longest in LENGTHS.items():
        if len(str(contact.get(name) or "")) > longest:
            found.append(f"The {name} field cannot exceed {longest} characters.")
    if sent.get("EmailAddress") and not _EMAIL.match(str(sent["EmailAddress"])):
        found.append(email_problem(str(sent["EmailAddress"])))
    return found + _people_problems(contact)


def _people_problems(contact: Document) -> list[str]:
    people = contact.get("ContactPersons") or []
    # Xero's limit for additional people.
    if len(people) > 5:
        return ["A contact can have a maximum of 5 contact persons."]
    if people and not contact.get("EmailAddress"):
        return ["Additional people cannot be added when the primary person has no email address."]
    return []


def email_problem(email: str) -> str:
    """Xero's words for an address that is none."""
    return f"Email address '{email}' is invalid."


def _clashes(books: Books, contact: Document) -> list[str]:
    def others(index: str, value: str | None) -> list[Document]:
        found = books.lookup("Contacts", index, value) if value else []
        return [other for other in found if other["ContactID"] != contact["ContactID"]]

    messages = []
    # Archived contacts keep their numbers taken, but free their names.
    same_name = others("name", contact["Name"])
    if contact["ContactStatus"] == "ACTIVE" and any(
        other["ContactStatus"] == "ACTIVE" for other in same_name
    ):
        messages.append(
            f"The contact name {contact['Name']} is already assigned to another contact. "
            "The contact name must be unique across all active contacts."
        )
    if others("number", contact.get("ContactNumber")):
        messages.append(
            "Another contact has this contact number. The contact number must be unique."
        )
    if others("account_number", contact.get("AccountNumber")):
        messages.append("The Account Number already exists. Please enter a different number.")
    return messages


def _rename_on_documents(books: Books, contact: Document) -> None:
    for kind in ("Invoices", "CreditNotes", "Overpayments", "Prepayments", "PurchaseOrders"):
        for document in books.all(kind):
            if document["Contact"]["ContactID"] == contact["ContactID"]:
                # A rename does not touch UpdatedDateUTC of the documents.
                books.put(kind, {**document, "Contact": nested(contact)}, quiet=True)


def for_document(books: Books, sent: Any, only_look: bool = False) -> Document:
    """The contact of a document: found, created from its name, or changed. Raises `Refused`.

    `only_look` changes nothing: for a document that is going to be refused for other reasons.
    """
    if not isinstance(sent, dict) or not any(
        sent.get(name) for name in ("ContactID", "ContactNumber", "Name")
    ):
        raise Refused(
            "The Contact must contain at least 1 of the following elements to identify "
            "the contact: Name, ContactID, ContactNumber"
        )
    contact = _existing(books, sent) or _archived_namesake(books, sent)
    if contact and contact["ContactStatus"] != "ACTIVE":
        raise Refused(ARCHIVED)
    identity = {"ContactID"} if sent.get("ContactID") else {"ContactNumber", "Name"}
    if only_look:
        return contact or {"ContactID": ZERO_GUID, "Name": str(sent.get("Name"))}
    if contact is None or set(sent) & set(WRITABLE) - identity:
        # Whatever else is sent changes the contact, which surprises many.
        contact = write(books, sent).document
    email = contact.get("EmailAddress")
    if email and not _EMAIL.match(email):
        raise Refused("A validation exception occurred", nested={"Contact": [email_problem(email)]})
    return contact


def _archived_namesake(books: Books, sent: Document) -> Document | None:
    if not sent.get("ContactNumber"):
        return None
    found = books.lookup("Contacts", "number", str(sent["ContactNumber"]))
    return found[0] if found else None


def mark_used(books: Books, contact: Document, sales: bool) -> None:
    """A first sales document makes a customer, a first bill a supplier; not a modification."""
    name = "IsCustomer" if sales else "IsSupplier"
    current = books.get("Contacts", contact["ContactID"]) or contact
    if not current.get(name):
        books.put("Contacts", {**current, name: True}, quiet=True)


def merge(books: Books, loser_id: str, winner_id: str) -> Document:
    """What a person does in Xero's pages: the loser is archived and points to the winner."""
    loser, winner = books.get("Contacts", loser_id), books.get("Contacts", winner_id)
    if loser is None or winner is None:
        raise KeyError("no such contact")
    for kind in ("Invoices", "CreditNotes", "Overpayments", "Prepayments", "PurchaseOrders"):
        for document in books.all(kind):
            if document["Contact"]["ContactID"] == loser_id:
                books.touch(kind, {**document, "Contact": nested(winner)})
    merged = {"ContactStatus": "ARCHIVED", "MergedToContactID": winner["ContactID"]}
    return books.touch("Contacts", {**loser, **merged})


def write_group(books: Books, sent: Document) -> Applied:
    """Creates, renames or deletes a group. Raises `Refused`."""
    existing = books.get("ContactGroups", str(sent.get("ContactGroupID") or ""))
    active = [g for g in books.all("ContactGroups") if g["Status"] == "ACTIVE"]
    name = sent.get("Name") or (existing or {}).get("Name")
    if not name:
        raise Refused("The contact group name must be specified.")
    # Xero's limit for groups.
    if existing is None and len(active) >= 100:
        raise Refused("You’ve reached the limit of 100 contact groups.")
    others = [g for g in active if existing is None or g is not existing]
    if any(fold(group["Name"]) == fold(name) for group in others):
        raise Refused(f"The contact group name {name} is already in use.")
    group = existing or {"ContactGroupID": new_id(), "Status": "ACTIVE"}
    changed = {**group, "Name": name, "Status": sent.get("Status") or group["Status"]}
    return Applied(books.put("ContactGroups", changed))


def members(books: Books, group_id: str) -> list[Document]:
    """The contacts of a group, as the group shows them."""
    return [
        {"ContactID": contact["ContactID"], "Name": contact["Name"]}
        for contact in books.all("Contacts")
        if any(g["ContactGroupID"] == group_id for g in contact.get("ContactGroups", []))
    ]


def set_membership(books: Books, group: Document, contact_id: str, member: bool) -> Document:
    """Adds the contact to the group or takes it out. Raises `Refused` for an unknown contact."""
    contact = books.get("Contacts", contact_id)
    if contact is None:
        raise Refused("The contact ID does not exist")
    identifier = group["ContactGroupID"]
    groups = [g for g in contact.get("ContactGroups", []) if g["ContactGroupID"] != identifier]
    if member:
        groups.append({"ContactGroupID": identifier, "Name": group["Name"], "Status": "ACTIVE"})
    books.touch("Contacts", {**contact, "ContactGroups": groups})
    return {"ContactID": contact["ContactID"], "Name": contact["Name"]}
