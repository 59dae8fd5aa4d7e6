"""What the API member's security role must allow, and what each part is for."""

import msgspec


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the security role. `paths` are what it opens; the first one is tried."""

    name: str
    level: str
    needed_for: str
    paths: tuple[str, ...]


NEEDS = (
    Need(
        name="Companies > Company Maintenance",
        level="Inquire: All",
        needed_for="customers and suppliers",
        paths=("/company/companies",),
    ),
    Need(
        name="Companies > Contacts",
        level="Inquire: All",
        needed_for="billing contacts",
        paths=("/company/contacts",),
    ),
    Need(
        name="Finance > Invoicing",
        level="Add, Edit, Delete, Inquire: All",
        needed_for="invoices and the payments on them",
        paths=("/finance/invoices", "/finance/info/invoice", "/finance/billingStatuses"),
    ),
    Need(
        name="Finance > Agreements",
        level="Inquire: All",
        needed_for="agreements and their additions",
        paths=("/finance/agreements",),
    ),
    Need(
        name="Finance > Accounting Interface",
        level="Add, Edit, Delete, Inquire: All",
        needed_for="GL accounts of lines, and marking documents as posted",
        paths=("/finance/accounting",),
    ),
    Need(
        name="Procurement > Products",
        level="Inquire: All",
        needed_for="the product lines of invoices",
        paths=("/procurement/products",),
    ),
    Need(
        name="Procurement > Product Catalog",
        level="Inquire: All",
        needed_for="product categories in mappings",
        paths=("/procurement/catalog",),
    ),
    Need(
        name="Procurement > Purchase Orders",
        level="Inquire: All",
        needed_for="bills from received purchase orders",
        paths=("/procurement/purchaseorders",),
    ),
    Need(
        name="Service Desk > Service Tickets",
        level="Inquire: All",
        needed_for="tickets",
        paths=("/service/tickets", "/service/boards"),
    ),
    Need(
        name="Time & Expense > Time Entry",
        level="Inquire: All",
        needed_for="the time lines of invoices",
        paths=("/time/entries", "/time/workTypes", "/time/workRoles"),
    ),
    Need(
        name="Time & Expense > Expense Entry",
        level="Inquire: All",
        needed_for="the expense lines of invoices, and expenses as bills",
        paths=("/expense/entries", "/expense/types"),
    ),
    Need(
        name="System > Member Maintenance",
        level="Inquire: All",
        needed_for="routing and mapping by staff member",
        paths=("/system/members",),
    ),
    Need(
        name="System > Table Setup",
        level="Inquire: All",
        needed_for="locations, departments, tax codes, GL accounts, billing terms, currencies",
        paths=(
            "/finance/taxCodes",
            "/finance/glAccounts",
            "/system/locations",
            "/finance",
            "/system",
        ),
    ),
)


def permission_for(path: str) -> Need:
    """The line of the role that opens a path: the one with the longest matching beginning."""
    fits = [(len(known), need) for need in NEEDS for known in need.paths if path.startswith(known)]
    # The longest, since "/finance" alone stands for table setup and begins most of the others.
    return max(fits, key=lambda fit: fit[0])[1] if fits else NEEDS[-1]


def texts() -> tuple[str, ...]:
    """The list as shown on the connect page."""
    return tuple(f"{need.name} — {need.level} (for {need.needed_for})" for need in NEEDS)
