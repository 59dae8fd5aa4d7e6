"""The lists that each tenant defines itself: locations, members, tax codes and so on. Pure."""

from collections.abc import Callable
from decimal import Decimal

import msgspec

from psaltery.adapters.connectwise import wire
from psaltery.adapters.connectwise.reading import identifier, name, text
from psaltery.adapters.connectwise.taxes import levels, per_cent
from psaltery.adapters.connectwise.wire_accounting import TaxCode
from psaltery.records.psa import Company, Lookup


class LookupList(msgspec.Struct, frozen=True, kw_only=True):
    """One list: what we call it and where it is."""

    name: str
    path: str
    type: type[wire.Record]
    translate: Callable[[str, wire.Record], Lookup]


def listed(list_name: str, row: wire.Record) -> Lookup:
    """A row of most lists."""
    assert isinstance(row, wire.Listed)
    person = " ".join(part for part in (text(row.first_name), text(row.last_name)) if part)
    code = text(row.identifier)
    return Lookup(
        list=list_name,
        external_id=str(row.id),
        name=person or text(row.name) or text(row.description) or code or str(row.id),
        code=code,
        active=not row.inactive_flag,
        rate=row.hourly_rate,
        details=_details(row),
    )


def _details(row: wire.Listed) -> dict[str, str]:
    texts = {
        "closed": _flag(row.closed_flag),
        "sent": _flag(row.sent_flag),
        "default": _flag(row.default_flag),
        "vendor": _flag(row.vendor_flag),
        "project": _flag(row.project_flag),
        "email": text(row.office_email),
        "license": text(row.license_class),
        "vendor_number": text(row.vendor_number),
        "location": name(row.location) or name(row.default_location),
        "department": name(row.department) or name(row.default_department),
        "due_days": "" if row.due_days is None else str(row.due_days),
        "cross_reference": text(row.terms_xref) or text(row.integration_x_ref),
        "category": name(row.category),
        "subcategory": name(row.subcategory),
        "type": name(row.type),
        "class": text(row.product_class),
        "description": text(row.description),
        "price": _number(row.price),
        "taxable": _flag(row.taxable_flag),
        "bill_time": text(row.bill_time),
    }
    return {key: value for key, value in texts.items() if value}


def _flag(value: bool | None) -> str:
    return "yes" if value else ""


def _number(value: Decimal | None) -> str:
    return "" if value is None else str(value)


def currency(list_name: str, row: wire.Record) -> Lookup:
    """A currency; `code` is the ISO code."""
    assert isinstance(row, wire.Listed)
    return Lookup(
        list=list_name,
        external_id=str(row.id),
        name=text(row.name),
        code=identifier(row.currency_code) or text(row.identifier),
        details={"symbol": text(row.symbol)} if text(row.symbol) else {},
    )


def member_company(row: wire.Record) -> Company:
    """The member as somebody whom the books may owe an expense: "member:" and the id, as the
    expenses say (procurement.expense); found in the books by vendor number, then by name."""
    assert isinstance(row, wire.Listed)
    person = listed("members", row)
    return Company(
        external_id=f"member:{row.id}",
        identifier=person.code,
        name=person.name,
        account_number=text(row.vendor_number),
        email=text(row.office_email),
        types=("Member",),
        # Expense bills are owed to the member, as the Accounting Interface has it.
        is_vendor=True,
        deleted=not person.active,
    )


def gl_account(list_name: str, row: wire.Record) -> Lookup:
    """A GL mapping: what is mapped (type, record) to which account and class."""
    assert isinstance(row, wire.Listed)
    # Segments are named by each tenant (/finance/glCaptions); account first and class second is the
    # set-up that the vendor's own accounting packages come with.
    details = {
        "gl_type": text(row.gl_type),
        "mapped_type": name(row.mapped_type),
        "mapped_record": name(row.mapped_record),
        "class": text(row.segment2),
        "cost_of_sales": text(row.cogs1),
        "inventory": text(row.inventory),
        "product_id": text(row.product_id),
        "sales_code": text(row.sales_code),
    }
    label = " ".join(part for part in (details["mapped_type"], details["mapped_record"]) if part)
    return Lookup(
        list=list_name,
        external_id=str(row.id),
        name=f"{text(row.gl_type)} {label}".strip(),
        code=text(row.segment1),
        details={key: value for key, value in details.items() if value},
    )


def tax_code(list_name: str, row: wire.Record) -> Lookup:
    """A tax code; `rate` is the sum of its percentage levels in per cent."""
    assert isinstance(row, TaxCode)
    details = {f"level_{n}": str(level.rate) for n, level in enumerate(levels(row), start=1)}
    return Lookup(
        list=list_name,
        external_id=str(row.id),
        name=text(row.description) or text(row.identifier),
        code=text(row.identifier),
        active=not row.cancel_date,
        rate=per_cent(row),
        details=details | ({"default": "yes"} if row.default_flag else {}),
    )


def _plain(list_name: str, path: str) -> LookupList:
    return LookupList(name=list_name, path=path, type=wire.Listed, translate=listed)


# In the order of their worth to a mapping, so that a person who waits sees those first.
# https://developer.connectwise.com/Products/ConnectWise_PSA/REST
LISTS = (
    _plain("locations", "/system/locations"),
    _plain("departments", "/system/departments"),
    _plain("members", "/system/members"),
    LookupList(name="tax_codes", path="/finance/taxCodes", type=TaxCode, translate=tax_code),
    _plain("billing_statuses", "/finance/billingStatuses"),
    _plain("billing_terms", "/finance/billingTerms"),
    _plain("billing_cycles", "/finance/billingCycles"),
    LookupList(name="currencies", path="/finance/currencies", type=wire.Listed, translate=currency),
    LookupList(
        name="gl_accounts", path="/finance/glAccounts", type=wire.Listed, translate=gl_account
    ),
    _plain("agreement_types", "/finance/agreements/types"),
    _plain("work_types", "/time/workTypes"),
    _plain("work_roles", "/time/workRoles"),
    _plain("expense_types", "/expense/types"),
    _plain("boards", "/service/boards"),
    _plain("company_types", "/company/companies/types"),
    _plain("company_statuses", "/company/companies/statuses"),
    _plain("catalog_items", "/procurement/catalog"),
)
