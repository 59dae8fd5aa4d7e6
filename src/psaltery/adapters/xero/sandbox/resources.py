"""Which lists there are, what they can be filtered by, and which scopes they need.

https://developer.xero.com/documentation/guides/oauth2/scopes
"""

from __future__ import annotations

from werkzeug.wrappers import Request

from psaltery.adapters.sandboxing import Document
from psaltery.adapters.xero.sandbox import (
    contacts,
    credit_notes,
    documents,
    invoices,
    payments,
    purchase_orders,
    setup_lists,
)
from psaltery.adapters.xero.sandbox.listing import Detail, Resource, flag
from psaltery.adapters.xero.sandbox.where import Fields

_CONTACT_TEXT = "Contact.ContactID Contact.Name Contact.ContactNumber"
_DOCUMENT_NUMBERS = "SubTotal TotalTax Total CurrencyRate"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# A poll without includeArchived never learns that a contact was archived.
def _archived_contact(contact: Document, request: Request) -> bool:
    return contact["ContactStatus"] == "ARCHIVED" and not flag(request, "includeArchived")


def _archived_category(category: Document, request: Request) -> bool:
    return category["Status"] != "ACTIVE" and not flag(request, "includeArchived")


def _by_another_app(invoice: Document, request: Request) -> bool:
    mine = invoice.get("_app") == request.environ.get("sandbox.client")
    return flag(request, "createdByMyApp") and not mine


def _public(document: Document, _: Detail) -> Document:
    return documents.public(document)


# https://developer.xero.com/documentation/api/accounting/invoices
INVOICES = Resource(
    "Invoices",
    "Invoice",
    Fields(
        text=f"InvoiceID InvoiceNumber Type Status Reference CurrencyCode LineAmountTypes Url "
        f"BrandingThemeID {_CONTACT_TEXT}",
        number=f"{_DOCUMENT_NUMBERS} AmountDue AmountPaid AmountCredited",
        date="Date DueDate UpdatedDateUTC FullyPaidOnDate ExpectedPaymentDate",
        flag="HasAttachments SentToContact IsDiscounted",
    ),
    invoices.view,
    paged=True,
    choices={
        "IDs": "InvoiceID",
        "InvoiceNumbers": "InvoiceNumber",
        "ContactIDs": "Contact.ContactID",
        "Statuses": "Status",
    },
    search=("InvoiceNumber", "Reference"),
    hidden=_by_another_app,
    optimised=_words(
        "status type contact.contactid contact.name contact.contactnumber reference "
        "invoicenumber invoiceid amountpaid date duedate amountdue"
    ),
)
# https://developer.xero.com/documentation/api/accounting/creditnotes
CREDIT_NOTES = Resource(
    "CreditNotes",
    "CreditNote",
    Fields(
        text=f"CreditNoteID CreditNoteNumber Type Status Reference CurrencyCode {_CONTACT_TEXT}",
        number=f"{_DOCUMENT_NUMBERS} RemainingCredit",
        date="Date DueDate UpdatedDateUTC FullyPaidOnDate",
        flag="HasAttachments",
    ),
    credit_notes.view,
    paged=True,
    optimised=_words(
        "status type reference contact.contactid contact.name contact.contactnumber date"
    ),
)
# https://developer.xero.com/documentation/api/accounting/payments
PAYMENTS = Resource(
    "Payments",
    "Payment",
    Fields(
        text="PaymentID PaymentType Status Reference Invoice.InvoiceID Invoice.InvoiceNumber "
        "Invoice.Type Account.AccountID Account.Code BatchPaymentID",
        number="Amount BankAmount CurrencyRate",
        date="Date UpdatedDateUTC",
        flag="IsReconciled",
    ),
    lambda payment, _: payments.view(payment),
    paged=True,
    optimised=_words("paymenttype status reference invoice.invoiceid date paymentid"),
)
# https://developer.xero.com/documentation/api/accounting/contacts
CONTACTS = Resource(
    "Contacts",
    "Contact",
    Fields(
        text="ContactID ContactNumber AccountNumber ContactStatus Name FirstName LastName "
        "EmailAddress CompanyNumber TaxNumber DefaultCurrency",
        flag="IsCustomer IsSupplier",
        date="UpdatedDateUTC",
    ),
    contacts.view,
    paged=True,
    choices={"IDs": "ContactID"},
    search=("Name", "FirstName", "LastName", "ContactNumber", "CompanyNumber", "EmailAddress"),
    hidden=_archived_contact,
    optimised=_words("name emailaddress accountnumber"),
)


# https://developer.xero.com/documentation/api/accounting/overpayments
# https://developer.xero.com/documentation/api/accounting/prepayments
def _credit(kind: str, owner: str, choices: dict[str, str]) -> Resource:
    fields = Fields(
        text=f"{owner}ID Type Status Reference CurrencyCode InvoiceNumber {_CONTACT_TEXT}",
        number=f"{_DOCUMENT_NUMBERS} RemainingCredit",
        date="Date UpdatedDateUTC",
    )
    return Resource(kind, owner, fields, _public, paged=True, choices=choices)


def _plain(kind: str, owner: str, text: str, since: bool = True) -> Resource:
    fields = Fields(text=text, date="UpdatedDateUTC Date", number="SortOrder EffectiveRate")
    return Resource(kind, owner, fields, _public, since=since)


LISTS = {
    resource.kind: resource
    for resource in (
        INVOICES,
        CREDIT_NOTES,
        PAYMENTS,
        CONTACTS,
        _credit("Overpayments", "Overpayment", {"References": "Reference"}),
        _credit("Prepayments", "Prepayment", {"InvoiceNumbers": "InvoiceNumber"}),
        Resource(
            # https://developer.xero.com/documentation/api/accounting/banktransactions
            "BankTransactions",
            "BankTransaction",
            Fields(
                text=f"BankTransactionID Type Status Reference {_CONTACT_TEXT}",
                number="Total",
                date="Date UpdatedDateUTC",
                flag="IsReconciled",
            ),
            _public,
            paged=True,
        ),
        Resource(
            # https://developer.xero.com/documentation/api/accounting/purchaseorders
            "PurchaseOrders",
            "PurchaseOrder",
            Fields(
                text=f"PurchaseOrderID PurchaseOrderNumber Status Reference {_CONTACT_TEXT}",
                number="Total",
                date="Date DeliveryDate UpdatedDateUTC",
            ),
            purchase_orders.view,
            paged=True,
            choices={"Status": "Status"},
        ),
        Resource(
            # https://developer.xero.com/documentation/api/accounting/items
            "Items",
            "Item",
            Fields(text="ItemID Code Name", date="UpdatedDateUTC", flag="IsSold IsPurchased"),
            lambda item, detail: setup_lists.item_view(item, detail.four_decimals),
        ),
        Resource(
            # https://developer.xero.com/documentation/api/accounting/accounts
            "Accounts",
            "Account",
            Fields(
                text="AccountID Code Name Type Status Class TaxType SystemAccount "
                "BankAccountNumber CurrencyCode Description",
                date="UpdatedDateUTC",
                flag="EnablePaymentsToAccount ShowInExpenseClaims HasAttachments",
            ),
        ),
        Resource(
            # https://developer.xero.com/documentation/api/accounting/taxrates
            "TaxRates",
            "TaxRate",
            Fields(
                text="Name TaxType Status ReportTaxType",
                number="DisplayTaxRate EffectiveRate",
                flag="CanApplyToAssets CanApplyToEquity CanApplyToExpenses "
                "CanApplyToLiabilities CanApplyToRevenue",
            ),
            since=False,
        ),
        Resource(
            # https://developer.xero.com/documentation/api/accounting/trackingcategories
            "TrackingCategories",
            "TrackingCategory",
            Fields(text="TrackingCategoryID Name Status"),
            lambda category, detail: setup_lists.visible_category(category, detail.archived),
            since=False,
            hidden=_archived_category,
        ),
        Resource(
            "ContactGroups",
            "ContactGroup",
            Fields(text="ContactGroupID Name Status"),
            lambda group, _: {**group, "Contacts": []},
            since=False,
            hidden=lambda group, _: bool(group["Status"] != "ACTIVE"),
        ),
        # https://developer.xero.com/documentation/api/currencies/
        _plain("Currencies", "Currency", "Code Description", since=False),
        # https://developer.xero.com/documentation/api/accounting/brandingthemes
        _plain("BrandingThemes", "BrandingTheme", "BrandingThemeID Name Type", since=False),
        # https://developer.xero.com/documentation/api/accounting/batchpayments
        _plain("BatchPayments", "BatchPayment", "BatchPaymentID Type Status Reference"),
        # https://developer.xero.com/documentation/api/users/
        _plain("Users", "User", "UserID EmailAddress FirstName LastName OrganisationRole"),
    )
}
# Resources that clients read and the sandbox has nothing in.
EMPTY = (
    "BankTransfers", "Budgets", "Employees", "ExpenseClaims", "Journals", "LinkedTransactions",
    "ManualJournals", "PaymentServices", "Quotes", "Receipts", "RepeatingInvoices",
)  # fmt: skip
SCOPES: dict[str, tuple[str, ...]] = {
    "Invoices": ("accounting.invoices",),
    "CreditNotes": ("accounting.invoices",),
    "Quotes": ("accounting.invoices",),
    "PurchaseOrders": ("accounting.invoices",),
    "RepeatingInvoices": ("accounting.invoices",),
    "LinkedTransactions": ("accounting.invoices",),
    # Items can be written with either scope.
    "Items": ("accounting.invoices", "accounting.settings"),
    "Payments": ("accounting.payments",),
    "BatchPayments": ("accounting.payments",),
    "Overpayments": ("accounting.payments",),
    "Prepayments": ("accounting.payments",),
    "BankTransactions": ("accounting.banktransactions",),
    "BankTransfers": ("accounting.banktransactions",),
    "ManualJournals": ("accounting.manualjournals",),
    "ExpenseClaims": ("accounting.classicexpenses",),
    "Receipts": ("accounting.classicexpenses",),
    "Contacts": ("accounting.contacts",),
    "ContactGroups": ("accounting.contacts",),
    "Accounts": ("accounting.settings",),
    "BrandingThemes": ("accounting.settings",),
    "Currencies": ("accounting.settings",),
    "Employees": ("accounting.settings",),
    "InvoiceReminders": ("accounting.settings",),
    "Organisation": ("accounting.settings",),
    "TaxRates": ("accounting.settings",),
    "TrackingCategories": ("accounting.settings",),
    "Users": ("accounting.settings",),
    "PaymentServices": ("paymentservices",),
    "Budgets": ("accounting.budgets",),
    "Journals": ("accounting.journals",),
    "Reports": ("accounting.reports",),
}
# Broad scopes of apps made before March 2026, and what each stands for.
BROAD = {
    "accounting.transactions": (
        "accounting.invoices", "accounting.payments", "accounting.banktransactions",
        "accounting.manualjournals", "accounting.classicexpenses",
    ),
    "accounting.reports": ("accounting.reports",),
}  # fmt: skip
# All that an app made since March 2026 may ask for.
GRANULAR = {
    *(
        f"accounting.{name}{end}"
        for name in (
            "invoices", "payments", "banktransactions", "manualjournals", "contacts", "settings",
            "attachments", "classicexpenses",
        )
        for end in ("", ".read")
    ),
    *(
        f"accounting.reports.{name}.read"
        for name in (
            "aged", "balancesheet", "banksummary", "budgetsummary", "executivesummary",
            "profitandloss", "trialbalance", "taxreports", "tenninetynine",
        )
    ),
    "accounting.journals.read", "accounting.budgets.read", "app.connections",
    "offline_access", "openid", "profile", "email", "paymentservices",
}  # fmt: skip


def allowed(scopes: set[str], endpoint: str, method: str, attachments: bool = False) -> bool:
    """Whether a token with these scopes may call the endpoint."""
    # A scope without .read allows reading too; see the last line.
    granted = set(scopes)
    for broad, parts in BROAD.items():
        for end in ("", ".read"):
            if broad + end in scopes:
                granted |= {part + end for part in parts}
    # Each family of reports has its own scope; any of them opens the empty list.
    if endpoint == "Reports":
        return any(scope.startswith("accounting.reports") for scope in granted)
    wanted = ("accounting.attachments",) if attachments else SCOPES[endpoint]
    reading = method in ("GET", "HEAD")
    return any(name in granted or (reading and f"{name}.read" in granted) for name in wanted)
