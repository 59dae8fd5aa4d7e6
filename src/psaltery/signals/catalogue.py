"""The signals: their names, what they mean and what to do."""

import msgspec


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """`feeds`: those of the PSA and of the books that it depends on."""

    code: str
    title: str
    meaning: str
    advice: str


SIGNALS = (
    Signal(
        code="service_without_invoice",
        title="Service without an invoice",
        meaning="Tickets were resolved or hours worked last month, and nothing was invoiced.",
        advice="Invoice the work, or say on the customer's page that it is not billed.",
    ),
    Signal(
        code="mrr_gap",
        title="Less invoiced than contracted",
        meaning="The agreements promise more for the last whole month than they invoiced.",
        advice="Bill the agreement for the month, or correct the agreement.",
    ),
    Signal(
        code="invoice_overdue",
        title="Overdue",
        meaning="Invoices are past their due date and the grace.",
        advice="Ask for the money; the oldest first.",
    ),
    Signal(
        code="account_health",
        title="Account at risk",
        meaning="Money is overdue while tickets spike or fade: such customers leave.",
        advice="Talk to the customer, and note it on the board of renewals.",
    ),
    Signal(
        code="psa_ledger_drift",
        title="PSA and books differ",
        meaning="A document that was in step is not the same on both sides any more.",
        advice="Open the document: accept the books' version, or write the PSA's again.",
    ),
    Signal(
        code="unmapped",
        title="Known to one side only",
        meaning="Customers without a partner in the other system are compared with nothing.",
        advice="Link them under Mapping, Contacts.",
    ),
    Signal(
        code="stale_source",
        title="Source too old",
        meaning="A feed was not read for twice its interval or longer; what needs it is paused.",
        advice="Open the connection: its banner says why it does not read.",
    ),
)
BY_CODE = {signal.code: signal for signal in SIGNALS}
CHOICES = [(signal.code, signal.title) for signal in SIGNALS]
