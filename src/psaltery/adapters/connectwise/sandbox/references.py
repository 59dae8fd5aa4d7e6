"""References: how a record appears inside another, for every type that the sandbox knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from psaltery.adapters.connectwise.sandbox.errors import refused
from psaltery.adapters.connectwise.sandbox.world import Reference, World
from psaltery.adapters.sandboxing import Document

Builder = Callable[[Document], Reference]


def plain(*names: str) -> Builder:
    """A builder of references that repeat the named fields."""
    return lambda row: {"id": row["id"]} | {name: row.get(name) for name in names}


named = plain("name")
company = plain("identifier", "name")
department = plain("identifier", "name")
ticket = plain("summary")


def tax_code(row: Document) -> Reference:
    """A tax code goes by its identifier."""
    return {"id": row["id"], "name": row["identifier"]}


def billing_status(row: Document) -> Reference:
    """A billing status says whether it closes the invoice."""
    return {"id": row["id"], "name": row["name"], "isClosed": bool(row["closedFlag"])}


def currency(row: Document) -> Reference:
    """A currency repeats all of its properties, its ISO code as text."""
    own = {name: value for name, value in row.items() if name not in ("_info", "reportFormat")}
    return own | {"currencyCode": (row.get("currencyCode") or {}).get("name")}


def person(row: Document) -> Reference:
    """A contact or member by name."""
    name = f"{row.get('firstName') or ''} {row.get('lastName') or ''}".strip()
    known = {"identifier": row["identifier"]} if "identifier" in row else {}
    return {"id": row["id"], **known, "name": name}


def catalog_item(row: Document) -> Reference:
    """A product of the catalog."""
    return {"id": row["id"], "identifier": row["identifier"], "name": row["description"]}


def invoice(row: Document) -> Reference:
    """An invoice, as its lines and payments carry it."""
    return {
        "id": row["id"],
        "identifier": row["invoiceNumber"],
        "billingType": row["type"],
        "applyToType": row["applyToType"],
        "invoiceDate": row["date"],
        "chargeFirmFlag": False,
    }


def agreement(row: Document) -> Reference:
    """An agreement with the name of its type."""
    kind = (row.get("type") or {}).get("name")
    return {"id": row["id"], "name": row["name"], "type": kind, "chargeFirmFlag": False}


def purchase_order(row: Document) -> Reference:
    """A purchase order goes by its number."""
    return {"id": row["id"], "name": row["poNumber"]}


# The collection that each type of reference points into, and how it shows the record.
KINDS: dict[str, tuple[str, Builder]] = {
    "AgreementReference": ("agreements", agreement),
    "AgreementTypeReference": ("agreementTypes", named),
    "BillingCycleReference": ("billingCycles", named),
    "BillingStatusReference": ("billingStatuses", billing_status),
    "BillingTermsReference": ("billingTerms", named),
    "BillingUnitReference": ("departments", named),
    "BoardReference": ("boards", named),
    "CatalogItemReference": ("catalog", catalog_item),
    "CompanyReference": ("companies", company),
    "CompanyStatusReference": ("companyStatuses", named),
    "CompanyTypeReference": ("companyTypes", named),
    "ContactReference": ("contacts", person),
    "CurrencyReference": ("currencies", currency),
    "ExpenseTypeReference": ("expenseTypes", named),
    "InvoiceReference": ("invoices", invoice),
    "IvItemReference": ("catalog", plain("identifier")),
    "MemberReference": ("members", person),
    # Owner level 2 is what the screens call a location.
    "OwnerLevelReference": ("locations", named),
    "PurchaseOrderReference": ("purchaseOrders", purchase_order),
    "PurchaseOrderStatusReference": ("purchaseOrderStatuses", named),
    "ServiceStatusReference": ("boardStatuses", named),
    "SiteReference": ("sites", named),
    "SystemDepartmentReference": ("departments", department),
    "SystemLocationReference": ("locations", named),
    "TaxCodeReference": ("taxCodes", tax_code),
    "TicketReference": ("tickets", ticket),
    "WorkRoleReference": ("workRoles", named),
    "WorkTypeReference": ("workTypes", named),
}


def to(world: World, kind: str, key: object) -> Reference | None:
    """A reference to the record with that id, identifier or name; None when there is none."""
    collection, build = KINDS[kind]
    row = None if key is None else world.named(collection, key)
    return None if row is None else build(row)


def need(world: World, collection: str, key: object) -> Document:
    """A record that a draft names. Raises `ApiError` 400 when there is none."""
    row = world.named(collection, key)
    if row is None:
        raise refused(collection, "InvalidReference", f"{key} is not one of the {collection}.")
    return row


def resolve(world: World, kind: str, given: Any) -> Reference | None:
    """A reference as a client wrote it (`{"id": 5}`, or by identifier or name), made whole.

    Kinds that the sandbox keeps no list of are taken as they come. None when it leads nowhere.
    """
    if kind not in KINDS:
        return given if isinstance(given, dict) else None
    if not isinstance(given, dict):
        return None
    keys = (given.get(name) for name in ("id", "identifier", "name"))
    return next((to(world, kind, key) for key in keys if key is not None), None)
