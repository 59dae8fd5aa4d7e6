"""The lists that an organisation is set up with: accounts, tax rates, tracking, items, currencies.

https://developer.xero.com/documentation/api/accounting/accounts
https://developer.xero.com/documentation/api/accounting/taxrates
https://developer.xero.com/documentation/api/accounting/trackingcategories
https://developer.xero.com/documentation/api/accounting/items
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from psaltery.adapters.sandboxing import Document
from psaltery.adapters.xero.sandbox import documents, lines
from psaltery.adapters.xero.sandbox.answers import Applied, Refused
from psaltery.adapters.xero.sandbox.chart import ACTIONS, CLASSES, CURRENCY_NAMES
from psaltery.adapters.xero.sandbox.state import Books, fold, new_id

ACCOUNT_FIELDS = (
    "Code", "Name", "Description", "TaxType", "EnablePaymentsToAccount", "ShowInExpenseClaims",
    "BankAccountNumber", "BankAccountType", "CurrencyCode", "AddToWatchlist",
)  # fmt: skip
ITEM_FIELDS = (
    "Code", "Name", "Description", "PurchaseDescription", "IsSold", "IsPurchased",
    "InventoryAssetAccountCode",
)  # fmt: skip
STATUSES = ("ACTIVE", "ARCHIVED", "DELETED")


def write_account(books: Books, sent: Document) -> Applied:
    """Creates or changes one account. Raises `Refused`."""
    existing = _by_id(books, "Accounts", sent.get("AccountID"))
    account: Document = dict(existing or {"AccountID": new_id(), "Status": "ACTIVE"})
    _check_account(books, account, sent, existing)
    account |= documents.plain_fields(sent, account, ACCOUNT_FIELDS)
    account["Status"] = sent.get("Status") or account["Status"]
    account["Type"] = sent.get("Type") or account["Type"]
    account["Class"] = CLASSES.get(account["Type"], "EXPENSE")
    for name in ("EnablePaymentsToAccount", "ShowInExpenseClaims", "AddToWatchlist"):
        account.setdefault(name, False)
    account.setdefault("TaxType", books.setting("no_tax", "NONE"))
    return Applied(books.touch("Accounts", {**account, "HasAttachments": False}))


def _check_account(
    books: Books, account: Document, sent: Document, existing: Document | None
) -> None:
    others = [a for a in books.all("Accounts") if a["AccountID"] != account["AccountID"]]
    name, code = sent.get("Name"), sent.get("Code")
    if existing is None and not (name and sent.get("Type")):
        raise Refused("Name and Type must be specified")
    # Bank accounts are the only ones without a code.
    if existing is None and not code and sent.get("Type") != "BANK":
        raise Refused("Account code must be specified")
    if name and any(fold(other["Name"]) == fold(name) for other in others):
        raise Refused("Please enter a unique Name.")
    if code and any(fold(other.get("Code") or "") == fold(str(code)) for other in others):
        raise Refused("Please enter a unique Code.")
    # Xero's limit for account codes.
    if len(str(code or "")) > 10:
        raise Refused("The Code field cannot exceed 10 characters.")
    if sent.get("Status", "ACTIVE") not in STATUSES:
        raise Refused("Account status is not valid")
    if existing and existing.get("SystemAccount") and sent.get("Status") == "ARCHIVED":
        raise Refused("System accounts cannot be archived")


def delete_account(books: Books, account: Document) -> Document:
    """Removes an account that nothing uses. Raises `Refused`."""
    if account.get("SystemAccount"):
        raise Refused("System accounts cannot be deleted")
    code = account.get("Code")
    used = any(
        line.get("AccountCode") == code
        for kind in ("Invoices", "CreditNotes")
        for document in books.all(kind)
        for line in document["LineItems"]
    )
    # History would lose its account.
    if code and used:
        raise Refused("The account is in use and cannot be deleted")
    return books.touch("Accounts", {**account, "Status": "DELETED"})


def write_tax_rate(books: Books, sent: Document) -> Applied:
    """Creates a rate (TAX001 …) or changes one of those. Raises `Refused`."""
    existing = next((r for r in books.all("TaxRates") if r["TaxType"] == sent.get("TaxType")), None)
    if existing is None and not (sent.get("Name") and sent.get("TaxComponents")):
        raise Refused("Name and TaxComponents must be specified")
    if existing is None and not sent.get("ReportTaxType"):
        raise Refused("ReportTaxType must be specified")
    taken = [r["Name"] for r in books.all("TaxRates") if r is not existing]
    if sent.get("Name") in taken:
        raise Refused("Please enter a unique Name.")
    rate: Document = dict(existing or _blank_rate(books))
    rate |= documents.plain_fields(sent, rate, ("Name", "ReportTaxType", "Status"))
    if components := sent.get("TaxComponents"):
        rate["TaxComponents"] = [_component(part) for part in components]
        total = sum((part["Rate"] for part in rate["TaxComponents"]), Decimal("0.0000"))
        rate |= {"DisplayTaxRate": total, "EffectiveRate": total}
    return Applied(books.put("TaxRates", rate))


def _blank_rate(books: Books) -> Document:
    # Own rates are named TAX001, TAX002 …; system rates have names of their own.
    number = books.store.next_id(books.collection("custom tax rates"))
    groups = ("Assets", "Equity", "Expenses", "Liabilities", "Revenue")
    applies = {f"CanApplyTo{group}": True for group in groups}
    return {"TaxType": f"TAX{number:03d}", "Status": "ACTIVE", **applies}


def _component(sent: Document) -> Document:
    rate = lines.amount(sent.get("Rate"), "Rate").quantize(lines.FOUR)
    flags = {name: bool(sent.get(name)) for name in ("IsCompound", "IsNonRecoverable")}
    return {"Name": sent.get("Name", ""), "Rate": rate, **flags}


def write_category(books: Books, sent: Document) -> Applied:
    """Creates or changes a tracking category. Raises `Refused`."""
    existing = _by_id(books, "TrackingCategories", sent.get("TrackingCategoryID"))
    others = [c for c in books.all("TrackingCategories") if c is not existing]
    active = [c for c in others if c["Status"] == "ACTIVE"]
    name = sent.get("Name") or (existing or {}).get("Name")
    if not name or len(name) > 100:
        raise Refused("The tracking category name must have 1 to 100 characters")
    # Two can be active, two more archived.
    if existing is None and (len(active) >= 2 or len(others) >= 4):
        raise Refused("There can be at most 2 active tracking categories, and 4 in all")
    if any(fold(other["Name"]) == fold(name) for other in others):
        raise Refused("A tracking category with the same name already exists")
    category = existing or {"TrackingCategoryID": new_id(), "Status": "ACTIVE", "Options": []}
    status = sent.get("Status") or category["Status"]
    changed = books.put("TrackingCategories", {**category, "Name": name, "Status": status})
    for option in sent.get("Options") or []:
        write_option(books, changed["TrackingCategoryID"], option)
    return Applied(books.get("TrackingCategories", changed["TrackingCategoryID"]) or changed)


def write_option(books: Books, category_id: str, sent: Document) -> Applied:
    """Creates, renames or archives an option of a category. Raises `Refused`."""
    category = _by_id(books, "TrackingCategories", category_id)
    if category is None:
        raise Refused("The tracking category does not exist")
    wanted = str(sent.get("TrackingOptionID") or "").lower()
    existing = next((o for o in category["Options"] if o["TrackingOptionID"] == wanted), None)
    name = sent.get("Name") or (existing or {}).get("Name")
    others = [o for o in category["Options"] if o is not existing]
    if not name or len(name) > 100:
        raise Refused("The tracking option name must have 1 to 100 characters")
    if any(fold(other["Name"]) == fold(name) for other in others):
        raise Refused("A tracking option with the same name already exists")
    option = dict(existing or {"TrackingOptionID": new_id(), "Status": "ACTIVE"})
    option |= {"Name": name, "Status": sent.get("Status") or option["Status"]}
    option["TrackingCategoryID"] = category["TrackingCategoryID"]
    options = [option if o is existing else o for o in category["Options"]]
    books.put(
        "TrackingCategories",
        {**category, "Options": options if existing else [*options, option]},
    )
    return Applied(option)


def visible_category(category: Document, archived: bool) -> Document:
    """The category with its active options, or all of them."""
    options = [o for o in category["Options"] if archived or o["Status"] == "ACTIVE"]
    return {**category, "Options": options}


def write_currency(books: Books, sent: Document) -> Applied:
    """Adds a currency; needs a plan with multi-currency. Raises `Refused`."""
    code = str(sent.get("Code") or "").upper()
    # Currencies can be added, never removed.
    if not books.setting("multicurrency", True):
        raise Refused("Your organisation's plan does not allow multiple currencies")
    if len(code) != 3:
        raise Refused("The currency code is not valid")
    document = {"Code": code, "Description": CURRENCY_NAMES.get(code, code)}
    return Applied(books.put("Currencies", document))


def write_item(books: Books, sent: Document, updating: bool) -> Applied:
    """Creates an item, or with POST updates the one that id or code names. Raises `Refused`."""
    code = str(sent.get("Code") or "")
    found = books.lookup("Items", "code", code) if code else []
    existing = _by_id(books, "Items", sent.get("ItemID"))
    # PUT refuses a known code; POST takes it for the item meant.
    if existing is None and updating and found:
        existing = found[0]
    if existing is None and not code:
        raise Refused("Item Code must be specified")
    if len(code) > 30:
        raise Refused("The Code field cannot exceed 30 characters.")
    if any(other is not existing for other in found):
        raise Refused(f"Price List Item with Code '{code}' already exists")
    item: Document = dict(existing or {"ItemID": new_id(), "IsTrackedAsInventory": False})
    item |= documents.plain_fields(sent, item, ITEM_FIELDS)
    for side, used in (("SalesDetails", "IsSold"), ("PurchaseDetails", "IsPurchased")):
        item.setdefault(used, True)
        item[side] = _details(books, sent.get(side) or item.get(side) or {}) if item[used] else {}
    return Applied(books.touch("Items", item))


def _details(books: Books, sent: Document) -> Document:
    details = documents.plain_fields(sent, {}, ("AccountCode", "TaxType", "COGSAccountCode"))
    if (price := sent.get("UnitPrice")) is not None:
        details["UnitPrice"] = lines.amount(price, "UnitPrice").quantize(lines.FOUR)
    if code := details.get("AccountCode"):
        lines.find_account(books, {"AccountCode": code})
    return details


def item_view(item: Document, four_decimals: bool) -> Document:
    """The item; prices have two decimals unless four were asked for."""
    if four_decimals:
        return item
    shown = dict(item)
    for side in ("SalesDetails", "PurchaseDetails"):
        details = item.get(side) or {}
        if details.get("UnitPrice") is not None:
            shown[side] = {**details, "UnitPrice": lines.cents(Decimal(details["UnitPrice"]))}
    return shown


def actions(books: Books) -> list[Document]:
    """What the plan and the user's rights allow."""
    denied = set(books.setting("denied_actions", []))
    if not books.setting("multicurrency", True):
        # The plan decides, before any right of the user.
        denied.add("UseMulticurrency")
    return [
        {"Name": name, "Status": "NOT-ALLOWED" if name in denied else "ALLOWED"} for name in ACTIONS
    ]


def _by_id(books: Books, kind: str, identifier: Any) -> Document | None:
    return books.get(kind, str(identifier)) if identifier else None
