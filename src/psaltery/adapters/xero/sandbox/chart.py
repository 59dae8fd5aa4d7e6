"""What a new Australian or New Zealand organisation comes with: accounts, tax rates, tracking.

https://developer.xero.com/documentation/api/accounting/types
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from psaltery.adapters.sandboxing import Document


class AccountSeed(NamedTuple):
    code: str
    name: str
    type: str
    tax: str
    system: str = ""
    payments: bool = False


# https://developer.xero.com/documentation/api/accounting/types
CLASSES = {
    "BANK": "ASSET",
    "CURRENT": "ASSET",
    "FIXED": "ASSET",
    "INVENTORY": "ASSET",
    "CURRLIAB": "LIABILITY",
    "EQUITY": "EQUITY",
    "REVENUE": "REVENUE",
    "SALES": "REVENUE",
    "OTHERINCOME": "REVENUE",
    "DIRECTCOSTS": "EXPENSE",
    "EXPENSE": "EXPENSE",
    "OVERHEADS": "EXPENSE",
}

# "income" and "cost" stand for the country's own standard rates.
ACCOUNTS = (
    AccountSeed("090", "Business Bank Account", "BANK", "none"),
    AccountSeed("091", "Business Savings Account", "BANK", "none"),
    AccountSeed("200", "Sales", "REVENUE", "income"),
    AccountSeed("210", "Managed Services", "REVENUE", "income"),
    AccountSeed("220", "Professional Services", "REVENUE", "income"),
    AccountSeed("230", "Hardware Sales", "REVENUE", "income"),
    AccountSeed("240", "Software Licences", "REVENUE", "income"),
    AccountSeed("250", "Recovered Expenses", "REVENUE", "income"),
    AccountSeed("260", "Other Revenue", "REVENUE", "income"),
    AccountSeed("270", "Interest Income", "OTHERINCOME", "exempt_income"),
    AccountSeed("310", "Cost of Goods Sold", "DIRECTCOSTS", "cost"),
    AccountSeed("320", "Subcontractors", "DIRECTCOSTS", "cost"),
    AccountSeed("400", "Advertising", "EXPENSE", "cost"),
    AccountSeed("404", "Bank Fees", "EXPENSE", "exempt_cost"),
    AccountSeed("412", "Consulting & Accounting", "EXPENSE", "cost"),
    AccountSeed("429", "General Expenses", "EXPENSE", "cost"),
    AccountSeed("493", "Travel", "EXPENSE", "cost"),
    AccountSeed("610", "Accounts Receivable", "CURRENT", "none", "DEBTORS"),
    AccountSeed("630", "Inventory", "INVENTORY", "none"),
    AccountSeed("710", "Office Equipment", "FIXED", "cost"),
    AccountSeed("800", "Accounts Payable", "CURRLIAB", "none", "CREDITORS"),
    AccountSeed("815", "Customer Deposits", "CURRLIAB", "none", "", True),
    AccountSeed("820", "GST", "CURRLIAB", "none", "GST"),
    AccountSeed("850", "Clearing", "CURRLIAB", "none", "", True),
    AccountSeed("860", "Rounding", "CURRLIAB", "none", "ROUNDING"),
    AccountSeed("960", "Retained Earnings", "EQUITY", "none", "RETAINEDEARNINGS"),
)


class TaxSeed(NamedTuple):
    type: str
    name: str
    rate: str
    income: bool
    expenses: bool


# https://developer.xero.com/documentation/api/accounting/types
AU_TAXES = (
    TaxSeed("OUTPUT", "GST on Income", "10.0000", True, False),
    TaxSeed("INPUT", "GST on Expenses", "10.0000", False, True),
    TaxSeed("EXEMPTOUTPUT", "GST Free Income", "0.0000", True, False),
    TaxSeed("EXEMPTEXPENSES", "GST Free Expenses", "0.0000", False, True),
    TaxSeed("EXEMPTEXPORT", "GST Free Exports", "0.0000", True, False),
    TaxSeed("BASEXCLUDED", "BAS Excluded", "0.0000", True, True),
    TaxSeed("GSTONIMPORTS", "GST on Imports", "0.0000", False, True),
)
NZ_TAXES = (
    TaxSeed("OUTPUT2", "15% GST on Income", "15.0000", True, False),
    TaxSeed("INPUT2", "15% GST on Expenses", "15.0000", False, True),
    TaxSeed("ZERORATED", "Zero Rated", "0.0000", True, True),
    TaxSeed("NONE", "No GST", "0.0000", True, True),
    TaxSeed("GSTONIMPORTS", "GST on Imports", "0.0000", False, True),
)


class Country(NamedTuple):
    code: str
    currency: str
    timezone: str
    taxes: tuple[TaxSeed, ...]
    tax_words: dict[str, str]
    year_end: tuple[int, int]


COUNTRIES = {
    "AU": Country(
        "AU",
        "AUD",
        "AUSEASTERNSTANDARDTIME",
        AU_TAXES,
        {
            "income": "OUTPUT",
            "cost": "INPUT",
            "exempt_income": "EXEMPTOUTPUT",
            "exempt_cost": "EXEMPTEXPENSES",
            "none": "BASEXCLUDED",
        },
        (30, 6),
    ),
    "NZ": Country(
        "NZ",
        "NZD",
        "NEWZEALANDSTANDARDTIME",
        NZ_TAXES,
        {
            "income": "OUTPUT2",
            "cost": "INPUT2",
            "exempt_income": "ZERORATED",
            "exempt_cost": "NONE",
            "none": "NONE",
        },
        (31, 3),
    ),
}
CURRENCY_NAMES = {
    "AUD": "Australian Dollar",
    "NZD": "New Zealand Dollar",
    "USD": "United States Dollar",
    "EUR": "Euro",
    "GBP": "British Pound",
}
# Two categories, as many MSPs use them.
TRACKING = (
    ("Region", ("North", "South", "East", "West")),
    ("Department", ("Service Desk", "Projects", "Hardware", "Cloud")),
)
ACTIONS = (
    "AttachFilesToDraftInvoices",
    "CreateApprovedBill",
    "CreateApprovedInvoice",
    "CreateDraftInvoice",
    "CreateRepeatingInvoice",
    "UseMulticurrency",
)


def account(seed: AccountSeed, country: Country, identifier: str, stamp: str) -> Document:
    """The account as Xero would list it."""
    document: Document = {
        "AccountID": identifier,
        "Code": seed.code,
        "Name": seed.name,
        "Status": "ACTIVE",
        "Type": seed.type,
        "TaxType": country.tax_words[seed.tax],
        "Class": CLASSES[seed.type],
        "EnablePaymentsToAccount": seed.payments,
        "ShowInExpenseClaims": False,
        "BankAccountType": "",
        "ReportingCode": CLASSES[seed.type][:3],
        "HasAttachments": False,
        "UpdatedDateUTC": stamp,
        "AddToWatchlist": False,
    }
    if seed.type == "BANK":
        bank = {"BankAccountNumber": "0909090090909" + seed.code, "BankAccountType": "BANK"}
        document |= {**bank, "CurrencyCode": country.currency}
    # System accounts are Xero's own; nothing may be booked on most of them.
    if seed.system:
        document["SystemAccount"] = seed.system
    return document


def tax_rate(seed: TaxSeed) -> Document:
    """The tax rate as Xero would list it."""
    rate = Decimal(seed.rate)
    component = {"Name": "GST", "Rate": rate, "IsCompound": False, "IsNonRecoverable": False}
    return {
        "Name": seed.name,
        "TaxType": seed.type,
        "ReportTaxType": seed.type.removesuffix("2"),
        "CanApplyToAssets": True,
        "CanApplyToEquity": True,
        "CanApplyToExpenses": seed.expenses,
        "CanApplyToLiabilities": True,
        "CanApplyToRevenue": seed.income,
        "DisplayTaxRate": rate,
        "EffectiveRate": rate,
        "Status": "ACTIVE",
        "TaxComponents": [component],
    }
