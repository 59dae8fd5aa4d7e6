"""The error catalogue: every code with its title, what to do, and the repairs it offers.

Codes are stable: they stand in cards, in the audit log, in docs/errors/ and in filters.
"""

import msgspec


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    title: str
    advice: str
    repairs: tuple[str, ...] = ("retry",)
    severity: str = "error"


def _e(title: str, advice: str, *repairs: str, severity: str = "error") -> Entry:
    # Retry last, and nearly always: a cause may be mended where we can't see it.
    return Entry(title=title, advice=advice, repairs=(*repairs, "retry"), severity=severity)


CATALOGUE: dict[str, Entry] = {
    # Where it goes
    "no_route": _e(
        "No organisation for this document",
        "Say which organisation documents like this one go to.",
        "add_route",
    ),
    "account_unmapped": _e(
        "No account for a kind of line",
        "Choose the account of the books that these lines are posted to.",
        "map_account",
    ),
    "account_missing": _e(
        "The account does not exist in the books",
        "Choose an account that exists, or create it in the books and read the settings again.",
        "map_account",
    ),
    "account_archived": _e(
        "The account is archived in the books",
        "Choose another account, or restore it in the books.",
        "map_account",
    ),
    "account_invalid": _e(
        "The account can't be used on this document",
        "Choose an account of the right class: revenue for invoices, costs for bills.",
        "map_account",
    ),
    "tax_unmapped": _e(
        "No tax rate for a tax code",
        "Choose the tax rate of the books that this tax code stands for.",
        "map_tax",
    ),
    "tax_invalid": _e(
        "The tax rate does not exist in the books any more",
        "Choose a tax rate that is active.",
        "map_tax",
    ),
    "tax_missing": _e("A line has no tax rate", "Choose the tax rate.", "map_tax"),
    "tax_not_for_account": _e(
        "The tax rate is not allowed for the account",
        "Choose another tax rate or another account.",
        "map_tax",
        "map_account",
    ),
    "tax_mismatch": _e(
        "The tax differs from the PSA's",
        "The mapped rate gives another tax than the PSA charged. Choose the rate that fits.",
        "map_tax",
    ),
    "tracking_unmapped": _e(
        "No tracking option for a location or department",
        "Choose the tracking option.",
        "map_tracking",
    ),
    "tracking_invalid": _e(
        "The tracking option is missing or archived in the books",
        "Choose another option, or restore it in the books.",
        "map_tracking",
    ),
    "item_invalid": _e(
        "The item code is not in the books",
        "Create the item in the books, or choose another one for the product on the page of items.",
        "choose_item",
    ),
    # Who it is for
    "company_unknown": _e(
        "The company has not been read from the PSA yet",
        "It will be read with the next pull of companies; force it if you can't wait.",
    ),
    "contact_missing": _e(
        "The customer is not in the books",
        "Link the company to a contact of the books, or let Psaltery create it.",
        "link_contact",
        "create_contact",
    ),
    "contact_ambiguous": _e(
        "Several contacts could be the customer",
        "Choose the contact that the company is.",
        "link_contact",
        "create_contact",
    ),
    "contact_taken": _e(
        "The contact of this name belongs to another company",
        "Link both companies to it, or create a contact of its own.",
        "link_contact",
        "create_contact",
    ),
    "contact_name_taken": _e(
        "The name is already used by another contact",
        "Link the company to that contact, or rename one of the two.",
        "link_contact",
    ),
    "contact_archived": _e(
        "The contact is archived in the books",
        "Restore it with one click, or link the company to another contact.",
        "restore_contact",
        "link_contact",
    ),
    "contact_currency": _e(
        "The contact is billed in another currency",
        "Change the contact's currency in the books, link another contact, or post it all the "
        "same.",
        "link_contact",
        "post_anyway",
        "skip",
    ),
    "contact_merged": _e("The contact was merged", "Link the survivor.", "link_contact"),
    "contact_number_taken": _e(
        "Another contact has this contact number", "Link the contact.", "link_contact"
    ),
    "account_number_taken": _e(
        "Another contact has this account number", "Link the contact.", "link_contact"
    ),
    "email_invalid": _e(
        "The e-mail address of the contact is not valid",
        "Correct the address in the PSA or in the books.",
    ),
    # Amounts
    "total_mismatch": _e(
        "The total can't be reached to the cent",
        "The lines do not add up to the PSA's total. Correct the document in the PSA.",
        "skip",
    ),
    "line_total_mismatch": _e("A line's total does not fit", "Correct the line in the PSA."),
    "adjustment_account_missing": _e(
        "No account for rounding",
        "Choose the account that cents of rounding are posted to, in the organisation's settings.",
        "set_policy",
    ),
    "negative_total": _e(
        "The total is below zero",
        "Close it in the PSA as a credit memo, or skip it.",
        "skip",
    ),
    "no_lines": _e("The document has no lines", "Reopen and close it in the PSA.", "skip"),
    # Numbers and state
    # The promise of nothing twice rests on this refusal: numbers of sales are unique in Xero.
    # https://developer.xero.com/documentation/api/accounting/invoices
    "number_taken": _e(
        "The number is already used in the books",
        "Compare the two: link them when they are the same document, or renumber one.",
        "adopt",
        "renumber",
        "skip",
    ),
    # Bills have no such refusal: what is found by number is asked about before it is sent.
    "bill_taken": _e(
        "The books have a bill of this number already",
        "Compare the two: link them when they are the same paper, or post this one too.",
        "adopt",
        "post_anyway",
        "skip",
    ),
    "vendor_number_missing": _e(
        "The vendor's invoice number is missing",
        "Enter the number of the vendor's invoice on the purchase order, or post it under the "
        "order's number.",
        "post_anyway",
        "skip",
    ),
    "bill_twice": _e(
        "One invoice of a vendor was received twice",
        "Look at the vendor's invoice. When it has two deliveries, post this one too; when it was "
        "received twice, skip it or correct the order in the PSA.",
        "post_anyway",
        "skip",
    ),
    "number_missing": _e("The document has no number", "Give it a number in the PSA.", "skip"),
    "status_not_editable": _e(
        "The document in the books can't be edited any more",
        "Void it and issue it anew, correct it in the books by a credit note, or keep the books "
        "as they are.",
        "void_anew",
        "accept_books",
    ),
    "reissue_stopped": _e(
        "It could not be issued anew to its end",
        "Read the message, correct the cause and try again: what was done is not repeated. Or end "
        "it there; what was done stays in the books.",
        "end_reissue",
    ),
    "has_payments": _e(
        "It changed in the PSA after money was applied to it in the books",
        "Credit it and issue it anew, remove the payment in the books and retry, or keep the books "
        "as they are.",
        "credit_anew",
        "credit_it",
        "accept_books",
    ),
    "voided_in_books": _e(
        "It was voided or deleted in the books",
        "Post it again, or keep it voided.",
        "repost",
        "accept_books",
    ),
    # No retry: while it is open in the PSA there is nothing that could be written.
    "reopened": Entry(
        title="It was reopened in the PSA",
        advice="Close it again in the PSA; what changed is then written to the books.",
        severity="warning",
    ),
    "answer_unknown_shape": _e(
        "The answer was not understood", "It is tried again. If it stays, report it."
    ),
    "bad_settings": _e("A setting is wrong", "Correct it on the connection.", "reconnect"),
    "drift": Entry(
        title="It was changed in the books after we posted it",
        advice="Accept the change, write the PSA's version again, or make the change the rule.",
        repairs=("accept_drift", "revert_drift", "make_rule"),
        severity="warning",
    ),
    "line_id_unknown": _e("A line was changed in the books", "Retry."),
    "document_not_found": _e("The document is not in the books", "Post it first."),
    # Periods, currency, plan
    "period_locked": _e(
        "The date lies in a locked period",
        "Move the lock date in the books; the document then goes by itself. Or post it on the "
        "first open day, with the PSA's date in its reference.",
        "next_day",
    ),
    "locked_edit": _e(
        "It changed in the PSA after its period was locked in the books",
        "Move the lock date in the books; the change then goes by itself. Or credit it and issue "
        "it anew in the open period, or keep the books as they are.",
        "credit_anew",
        "credit_it",
        "accept_books",
    ),
    "currency_not_subscribed": _e(
        "The organisation does not have the currency",
        "Add the currency in the books, then read the settings again.",
        "read_settings",
    ),
    # Xero's smallest plans approve only some invoices a month, counted by the invoices' dates.
    "plan_limit": _e(
        "The plan of the books does not allow more approved invoices",
        "Upgrade the plan in the books, or post as drafts.",
        "set_policy",
    ),
    "permission_denied": _e(
        "The books refused for lack of permission",
        "The user who authorised the connection may not do this (403). Give that user the role in "
        "the books, or press Reconnect and sign in as one who has it. Other organisations go on.",
        "reconnect",
    ),
    # Fields and the rest
    "due_date_missing": _e("The due date is missing", "Give the document payment terms."),
    "field_missing": _e("A required field is missing", "Complete the document in the PSA."),
    "text_invalid": _e("A text has characters that the books refuse", "Correct it in the PSA."),
    "idempotency_conflict": _e("The same key was used for another request", "Retry."),
    "high_volume": _e("The query was too large for the books", "Retry."),
    "rejected": _e("The books refused it", "Read the message, correct the cause and retry."),
    # Payments back
    "payment_exceeds_due": _e("The payment is larger than what is due", "Check both sides."),
    "payment_refused": _e(
        "The PSA refused the payment",
        "Read the message, correct the cause and retry. Where the PSA takes one payment an "
        "invoice, let it show the sum, in the organisation's settings.",
        "set_policy",
    ),
    "payment_unread": _e(
        "The PSA does not say what is paid on a document",
        "Look whether the document is still in the PSA, and whether the API member may read its "
        "payments. It is asked again by itself; nothing is written to the document until then.",
    ),
    # No retry: it closes when the money is applied, here or in the books.
    "payment_unmatched": Entry(
        title="Money of a customer is not applied to an invoice",
        advice="Choose the invoice that was meant, or apply the money in the books; the PSA then "
        "shows it with the next cycle. Snooze what the customer paid in advance.",
        repairs=("apply_money",),
        severity="warning",
    ),
    # The books refuse no second payment either, so a likely double waits for a person.
    "payment_taken_twice": _e(
        "Both sides have a payment of this amount",
        "Compare the two: say whether they are one payment, or two that must both be entered.",
        "payments_same",
        "payments_apart",
    ),
    "payment_taken_removed": _e(
        "A payment of the PSA was removed in the books",
        "Delete it in the PSA as well, or enter it in the books again.",
        "enter_again",
    ),
    "payment_taken_refused": _e(
        "A payment of the PSA can't be entered in the books",
        "Read the message, correct the cause and retry.",
    ),
    "payment_account_unmapped": _e(
        "No account for a payment method",
        "Choose the account of the books that payments by this method go to.",
        "map_payment",
    ),
    "balance_differs": _e(
        "The open balance differs after the payment was written",
        "Compare the payments of both sides.",
    ),
    "payment_locked": _e("The payment's date is locked", "Move the lock date."),
    "payment_account_invalid": _e("The account takes no payments", "Choose another account."),
    "reconciled": _e("The payment is reconciled", "Undo the reconciliation in the books."),
    # No repair: a button that silences this one would be the first that an intruder presses.
    "audit_changed": Entry(
        title="The audit log is not as it was sealed",
        advice="Somebody changed the database behind Psaltery, or a backup was brought back. "
        "`psaltery audit verify` names every entry; compare with your last backup.",
        repairs=(),
    ),
    # No repair: it closes only by being explained, never by being pressed away.
    "tieout_unexplained": Entry(
        title="The tie-out has a difference that nothing explains",
        advice="Open the tie-out, look at the documents that it names on both sides, and tie out "
        "again. The card closes by itself when every cent is explained.",
        repairs=(),
    ),
    # Connections
    # A 401 may mean a token that ran out, which is renewed unseen, or a consent that is gone.
    # https://developer.xero.com/documentation/api/accounting/responsecodes
    "token_revoked": _e(
        "The connection was revoked",
        "The sign-in was refused and could not be renewed (401): somebody disconnected the app at "
        "the other side, or changed its secret. Press Reconnect and allow access again. Only this "
        "connection stops; what changed meanwhile is read at once.",
        "reconnect",
    ),
    "consent_expired": _e(
        "The consent ended because it was not renewed",
        "A consent lives for 60 days and is renewed every week while Psaltery runs; here it was "
        "not. Press Reconnect, sign in, leave every organisation ticked and allow access. "
        "Nothing is lost, and nothing needs to be set up again.",
        "reconnect",
    ),
    "consent_ends": _e(
        "The consent ends soon",
        "Psaltery could not renew it for weeks, so the worker was not running or the sign-in "
        "server was out of reach. Start the worker, or press Reconnect. The warning comes 7 and "
        "again 2 days before the end.",
        "reconnect",
    ),
    # Xero answers this with 401 too, where to renew the token never helps.
    # https://developer.xero.com/faq/granular-scopes
    "scope_missing": _e(
        "A permission was not granted",
        "The app may not do this with the permissions it was given (401, insufficient scope). "
        "Press Reconnect and leave every permission ticked. Other connections go on.",
        "reconnect",
    ),
    "tenant_removed": _e(
        "The organisation was disconnected at the other side",
        "Somebody removed this organisation from the app at the other side. Press Reconnect and "
        "tick it on the consent page, or take it out of the synced ones. What is stored of it is "
        "kept, and the other organisations go on.",
        "reconnect",
    ),
    "organisation_offline": _e(
        "The organisation is offline at the other side",
        "The vendor has taken it offline, for minutes as a rule. It is asked again every five "
        "minutes and goes on by itself; other organisations are not affected. When it lasts, ask "
        "the vendor's support.",
    ),
    # Xero tells its 429s apart by a header, X-Rate-Limit-Problem: minute, day or concurrent.
    # https://developer.xero.com/documentation/guides/oauth2/limits/
    "minute_limit": Entry(
        title="The calls of this minute are used up",
        advice="The vendor answered 429 for the minute: another app shares the organisation's "
        "limit. Reading and posting go on by themselves within a minute. When it happens often, "
        "lower the calls a minute in the organisation's settings.",
        repairs=(),
        severity="info",
    ),
    "day_limit": Entry(
        title="The calls of the day are used up",
        advice="The vendor's daily limit of this organisation is reached, or nine tenths of it "
        "are. Feeds stopped at a checkpoint and go on by themselves when the vendor's day "
        "begins; other organisations go on. See Calls for what used them up; read less often in "
        "the organisation's settings.",
        repairs=(),
        severity="warning",
    ),
    "webhook_refused": Entry(
        title="Webhooks are signed with another key",
        advice="Deliveries are refused (401) and nothing of them is stored; polling goes on. Copy "
        "the signing key of the app's webhook again and paste it on the connection's webhook "
        "page; two keys may be stored while one replaces the other.",
        repairs=(),
        severity="warning",
    ),
    "permission_missing": _e(
        "A permission is missing",
        "Grant it to the API member's security role; it then goes on by itself.",
        "reconnect",
    ),
    "keys_refused": _e("The keys are refused", "Enter keys that work.", "reconnect"),
    "organisation_mismatch": _e(
        "Not the organisation that was connected first",
        "Reconnect with the right organisation. Nothing is written until then.",
        "reconnect",
    ),
    "read_only": _e(
        "The connection may only read",
        "Reconnect with permission to write.",
        "reconnect",
    ),
    "unreachable": _e(
        "The other side has not answered for a while",
        "It is tried again by itself, and nothing is lost: what waits for it is listed. Read the "
        "message, and look whether the vendor tells of an outage.",
    ),
    "feed_failed": _e("A feed could not be read", "It is tried again by itself. Read the message."),
    "notification_failed": Entry(
        title="Notifications do not arrive",
        advice="Read the message, correct the address or the mail server's settings, and send a "
        "test under Settings, Notifications.",
        repairs=(),
    ),
    # Alerts: see signals/. They are told like exceptions and have pages of their own.
    "service_without_invoice": _e(
        "Service without an invoice",
        "Invoice the work, or say on the customer's page that it is not billed.",
        severity="warning",
    ),
    "mrr_gap": _e(
        "Less invoiced than contracted",
        "Bill the agreement for the month, or correct the agreement.",
        severity="warning",
    ),
    "invoice_overdue": _e(
        "Invoices are overdue", "Ask for the money; the oldest first.", severity="warning"
    ),
    "account_health": _e(
        "An account is at risk",
        "Talk to the customer, and note it on the board of renewals.",
        severity="warning",
    ),
    "psa_ledger_drift": _e(
        "PSA and books differ for a customer",
        "Open the documents: accept the books' version, or write the PSA's again.",
        severity="warning",
    ),
    "unmapped": _e(
        "Customers are known to one side only",
        "Link them under Mapping, Contacts.",
        severity="warning",
    ),
    "stale_source": _e(
        "A source is too old",
        "Open the connection: its banner says why it does not read.",
        severity="warning",
    ),
}

# Vendors bring new refusals without notice: an unknown code must still make a card.
_UNKNOWN = CATALOGUE["rejected"]


def entry(code: str) -> Entry:
    """The entry of a code; an unknown code reads as a plain refusal."""
    return CATALOGUE.get(code, _UNKNOWN)
