"""Why an open amount differs between the PSA and the books: the stable codes and their words."""

from enum import StrEnum


class Cause(StrEnum):
    """One reason for a difference. The values stand in the database, in CSV files and addresses."""

    HELD = "held"
    WAITING = "waiting"
    SKIPPED = "skipped"
    NOT_READ = "not_read"
    DRAFT = "draft"
    VOIDED = "voided"
    GONE = "gone"
    REOPENED = "reopened"
    TOTAL = "total"
    PAYMENT_NOT_BACK = "payment_not_back"
    NOT_RECONCILED = "not_reconciled"
    PAID_IN_PSA = "paid_in_psa"
    CREDIT_ELSEWHERE = "credit_elsewhere"
    BOOKS_ONLY = "books_only"
    BOOKS_CREDIT = "books_credit"
    UNAPPLIED = "unapplied"
    OTHER_CUSTOMER = "other_customer"
    CURRENCY = "currency"
    UNEXPLAINED = "unexplained"


LABELS = {
    Cause.HELD: "Held by an exception",
    Cause.WAITING: "On its way to the books",
    Cause.SKIPPED: "Skipped",
    Cause.NOT_READ: "Written, not read back yet",
    Cause.DRAFT: "Draft in the books",
    Cause.VOIDED: "Voided in the books",
    Cause.GONE: "Deleted in the PSA",
    Cause.REOPENED: "Reopened in the PSA",
    Cause.TOTAL: "Totals differ",
    Cause.PAYMENT_NOT_BACK: "Payment not in the PSA yet",
    Cause.NOT_RECONCILED: "Payment not reconciled yet",
    Cause.PAID_IN_PSA: "Settled in the PSA only",
    Cause.CREDIT_ELSEWHERE: "Credit used outside the PSA",
    Cause.BOOKS_ONLY: "In the books only",
    Cause.BOOKS_CREDIT: "Credit note of the books only",
    Cause.UNAPPLIED: "Money received, not applied",
    Cause.OTHER_CUSTOMER: "Under another customer in the books",
    Cause.CURRENCY: "In another currency in the books",
    Cause.UNEXPLAINED: "Unexplained",
}
