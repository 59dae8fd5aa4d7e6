"""What goes wrong in the field, row by row: our code, how the sandboxes make it, what shows it.

The page docs/errors/matrix.md is written from this.
"""

import msgspec

FIELD = "tests/test_field_faults.py"
MONEY = "tests/test_field_faults_money.py"
RECORDS = "tests/test_bad_records.py"
REPAIRS = "src/psaltery/review/tests/test_repairs.py"


class Row(msgspec.Struct, frozen=True):
    """One row of the catalogue.

    `codes` are those of review/catalogue.py; none where nobody has to do anything: `answer` says
    why. `made` is how the sandbox comes to it, `test` what shows it, "file::function".
    """

    number: int
    fault: str
    codes: tuple[str, ...]
    answer: str
    made: str
    test: str


def _row(number: int, fault: str, codes: str, answer: str, made: str, test: str) -> Row:
    return Row(number, fault, tuple(codes.split()), answer, made, test)


ROWS: tuple[Row, ...] = (
    # Contacts
    _row(1, "The contact's name is taken", "contact_name_taken contact_ambiguous",
         "Linked by itself when it is one contact; a card with the candidates when it is not.",
         "a contact of that name, made after contacts were read",
         f"{FIELD}::test_e01_a_name_that_somebody_took_meanwhile_is_linked"),
    _row(2, "The contact is archived", "contact_archived",
         "One card for the contact; one click restores it and releases every document.",
         "`edit` of a contact to ARCHIVED", f"{REPAIRS}::test_an_archived_contact_is_restored"),
    _row(3, "The contact was merged", "contact_merged contact_archived",
         "The survivor is followed by itself, for new documents and for those that were posted.",
         "`merge_contact`", f"{FIELD}::test_e03_a_merged_contact_is_followed"),
    _row(4, "The account number is taken", "account_number_taken contact_archived",
         "Found by its account number once it is read, archived or not.",
         "an archived contact with the company's account number",
         f"{FIELD}::test_e04_an_account_number_that_another_contact_holds"),
    _row(5, "The contact number is taken", "contact_number_taken contact_archived",
         "Ours alone is sent; who has it is the customer, and is restored with one click.",
         "an archived contact with our reference",
         f"{FIELD}::test_e05_our_contact_number_on_an_archived_contact"),
    _row(6, "No primary or billing contact in the PSA", "", "None is needed.",
         "a company without an address",
         f"{FIELD}::test_e06_to_e09_an_address_that_is_missing_or_wrong_stops_nothing"),
    _row(7, "Additional people without a main address", "",
         "Additional people are never sent.", "the same",
         f"{FIELD}::test_e06_to_e09_an_address_that_is_missing_or_wrong_stops_nothing"),
    _row(8, "The e-mail address is not valid", "email_invalid",
         "A wrong optional field is left out.", "a company with a wrong address",
         f"{FIELD}::test_e06_to_e09_an_address_that_is_missing_or_wrong_stops_nothing"),
    _row(9, "Secondary contacts are doubled", "", "They are never sent.", "the same",
         f"{FIELD}::test_e06_to_e09_an_address_that_is_missing_or_wrong_stops_nothing"),
    # Accounts, tax, tracking, items
    _row(10, "A kind of line has no account", "account_unmapped",
         "One card for a kind of line, and a page that names the gaps before.",
         "a mapping that is missing", f"{FIELD}::test_e10_an_account_that_nobody_mapped"),
    _row(11, "The account is archived", "account_archived",
         "Told as soon as the chart of accounts is read; goes by itself when it is restored.",
         "`edit` of an account to ARCHIVED",
         f"{RECORDS}::test_an_account_that_is_archived_and_restored_in_the_books"),
    _row(12, "The account is not for this document", "account_invalid",
         "Refused when it is mapped; a card when the account became so later.",
         "`edit` of an account to a system account",
         f"{FIELD}::test_e12_an_account_that_no_invoice_may_use"),
    _row(13, "The tax rate can't be used with the account", "tax_not_for_account",
         "Known before anything is sent.", "an account of costs under a rate of sales",
         f"{FIELD}::test_e13_a_rate_that_the_account_does_not_take"),
    _row(14, "A line has no tax code", "tax_unmapped tax_missing",
         "Lines without tax have a mapping of their own.", "a line that is not taxed",
         f"{FIELD}::test_e14_a_line_without_a_tax_code"),
    _row(15, "The rate is another one than in the settings", "tax_mismatch",
         "Held with both amounts of tax; never posted with another total.",
         "a mapping to a rate that gives another tax",
         f"{REPAIRS}::test_a_tax_rate_that_gives_another_tax_is_replaced"),
    _row(16, "A mandatory field is missing", "due_date_missing field_missing account_missing",
         "Due date from the organisation's terms; everything else is there before it is sent.",
         "`change` of an invoice in the PSA to no dates",
         f"{RECORDS}::test_a_strange_invoice_in_the_psa_does_not_hide_the_others"),
    _row(17, "Tracking options that do not match", "tracking_unmapped tracking_invalid",
         "Mapped by id; a card for each value.", "a location without an option; an archived option",
         f"{FIELD}::test_e17_a_tracking_option_that_is_missing_and_then_archived"),
    _row(18, "The item code is invalid or too long", "item_invalid",
         "Codes are shortened in a stable way; items are made, or left out where not wanted.",
         "products with long names",
         "tests/test_items.py::test_codes_are_short_and_stable_and_apart"),
    _row(19, "Inventory class and product type differ", "",
         "Items are not tracked as inventory; a line's account is the mapping's.",
         "a product of the catalogue",
         "tests/test_items.py::test_a_line_names_its_product_which_is_created_once"),
    # Amounts
    _row(20, "A line's total differs by a cent", "line_total_mismatch",
         "Lines are shaped so that the books compute the PSA's amount.", "prices of 7 decimals",
         f"{FIELD}::test_e20_and_e22_odd_prices_and_one_cent_come_out_exactly"),
    _row(21, "The total is not the sum of the lines", "total_mismatch",
         "A rounding line within the cap; beyond it held with both amounts.",
         "`change` of an invoice's total",
         f"{FIELD}::test_e21_and_e23_a_total_that_the_lines_do_not_make"),
    _row(22, "An invoice of one cent, or of zero", "",
         "One cent is posted as one cent; zero is skipped with its reason.",
         "an invoice of 0.01; one of 0",
         f"{FIELD}::test_e20_and_e22_odd_prices_and_one_cent_come_out_exactly"),
    _row(23, "Amounts do not match (fail-safe)", "total_mismatch",
         "What the books answer is compared; a difference is told with both amounts.",
         "`change` of an invoice's total",
         f"{FIELD}::test_e21_and_e23_a_total_that_the_lines_do_not_make"),
    _row(24, "The total is below zero", "negative_total",
         "It becomes a credit note.", "a negative quantity",
         f"{FIELD}::test_e24_a_total_below_zero_becomes_a_credit_note"),
    # Numbers and duplicates
    _row(25, "The number is taken", "number_taken bill_taken",
         "The same document is linked; another one is shown beside it, to renumber or skip.",
         "an invoice of that number, entered by hand",
         f"{REPAIRS}::test_a_document_whose_number_is_taken_is_posted_under_another"),
    _row(26, "The number exists and is approved or paid", "status_not_editable number_taken",
         "Linked and never edited.", "the same invoice, entered by hand and paid",
         f"{MONEY}::test_e26_the_same_invoice_that_is_paid_already_is_linked_and_not_edited"),
    _row(27, "Number and reference both match", "", "Only the number counts.",
         "an invoice with our number as its reference",
         f"{MONEY}::test_e27_only_the_number_counts_not_the_reference"),
    _row(28, "Sending again made a second one", "",
         "Booked before, looked up after; see docs/architecture.md.",
         "`lost_answer` with and without 500, processes killed before and after",
         "tests/test_writes_once.py::test_a_write_is_carried_out_once"),
    _row(29, "Line items with unknown ids", "line_id_unknown",
         "All lines are written anew.", "lines that were replaced in the books",
         f"{MONEY}::test_e29_lines_that_somebody_replaced_in_the_books"),
    # State and locks
    _row(30, "The date lies in a locked period", "period_locked",
         "One card for the lock; goes by itself when it moves, or on the first open day if wanted.",
         "`organisations` with `PeriodLockDate`",
         f"{RECORDS}::test_a_lock_that_is_moved_lets_the_documents_go"),
    _row(31, "The payment's date is locked", "payment_locked",
         "Waits, and goes by itself when the lock moves.", "the same, and a payment of the PSA",
         f"{MONEY}::test_e31_a_payment_in_a_locked_period_waits_and_goes_when_the_lock_moves"),
    _row(32, "Edited after money was applied", "has_payments",
         "Credit it and issue it anew, or keep the books.", "`edit_invoice` of a paid invoice",
         "tests/test_edits.py::test_an_edit_of_a_paid_document_asks_and_keeping_the_books_ends_it"),
    _row(33, "Reconciled, can't be removed", "reconciled", "The payment stays, and a card says so.",
         "`edit` of a payment to reconciled",
         f"{MONEY}::test_e33_a_reconciled_payment_stays_and_says_so"),
    _row(34, "Voided in the books and sent again", "voided_in_books",
         "Asked about: post it again, or keep it voided.", "an invoice that is voided in the books",
         f"{REPAIRS}::test_a_voided_document_is_posted_again"),
    # Currency, plan and permission
    _row(35, "The organisation does not have the currency", "currency_not_subscribed",
         "Known before anything is sent; goes by itself when it is added.",
         "a customer of another currency; `organisations` with `currencies`",
         f"{RECORDS}::test_a_currency_that_is_added_lets_the_document_go"),
    _row(36, "The plan's limit of approved invoices", "plan_limit",
         "One card for the organisation; as drafts they go.", "`limit_approved_invoices`",
         f"{MONEY}::test_e36_the_plans_limit_of_approved_invoices"),
    _row(37, "The token is expired or revoked", "token_revoked",
         "The connection says so, its jobs wait, everything goes on after a reconnect.",
         "fault `revoke`", "tests/test_bad_connections.py::test_a_consent_revoked_during_a_run"),
    _row(38, "The user lacks a permission", "permission_denied",
         "One card for the organisation, with the words of the books.", "fault `forbidden`",
         f"{MONEY}::test_e38_the_user_who_authorised_has_lost_the_right"),
    _row(39, "`invalid_scope` on connecting", "",
         "The page says it; the connection stays as it was.", "a consent that ends with that error",
         f"{MONEY}::test_e39_a_scope_that_the_app_does_not_have"),
    _row(40, "The organisation is missing", "tenant_removed",
         "Only this organisation waits, and its card leads to a new consent.", "`disconnect`",
         "tests/test_bad_connections.py::test_a_tenant_removed_during_a_run"),
    _row(41, "Webhooks are refused with 401", "",
         "A banner on every page, with a self-test.", "a delivery that is signed with another key",
         "src/psaltery/inbound/tests/test_pages.py::test_a_wrong_key_is_told_with_what_to_do"),
    # Payments and credits
    _row(42, "The payment is larger than what is due", "payment_exceeds_due",
         "Held with both amounts.", "`enter_payment` of too much",
         "tests/test_payments_taken.py::test_too_much_is_held"),
    _row(43, "The account takes no payments", "payment_account_unmapped payment_account_invalid",
         "Only accounts that take payments can be mapped; one card holds all until one is.",
         "a payment method without an account",
         "tests/test_payments_taken.py::"
         "test_without_an_account_one_card_holds_all_and_mapping_releases_them"),
    _row(44, "A payment on a document that is not there", "document_not_found",
         "Only what is linked has payments; others are left alone.",
         "a payment on an invoice that is not ours",
         f"{MONEY}::test_e44_a_payment_on_an_invoice_that_is_not_ours"),
    _row(45, "One credit over two invoices", "", "Each part is applied to its invoice.",
         "a credit note with two allocations", f"{MONEY}::test_e45_one_credit_over_two_invoices"),
    _row(46, "Money from before the sync began", "",
         "Comes back as soon as the invoice is linked.", "an invoice that was paid before",
         f"{MONEY}::test_e26_the_same_invoice_that_is_paid_already_is_linked_and_not_edited"),
    _row(47, "The payment lands in the wrong month", "", "It keeps the date of the books.",
         "a payment of another month", f"{MONEY}::test_e47_a_payment_keeps_the_date_of_the_books"),
    # Platform and running
    _row(48, "Too many calls (429)", "",
         "Waits as long as the vendor says; other organisations never notice.",
         "fault `minute_limit`",
         "tests/test_bad_answers.py::test_waiting_for_the_budget_leaves_no_trace_on_the_documents"),
    _row(49, "503 or a time-out, outcome unknown", "unreachable",
         "Looked up, then decided; a card when it lasts.",
         "`lost_answer`, `drop`, `status` 500 and 503, each write",
         "tests/test_writes_once.py::test_a_write_is_carried_out_once"),
    _row(50, "Read before the document is complete", "",
         "Read until two reads agree; decided about again when it changes while it is sent.",
         "`edit_invoice` between reading and sending",
         f"{RECORDS}::test_an_invoice_that_changes_while_it_is_read_and_sent"),
    _row(51, "Characters, length, missing description", "text_invalid",
         "Texts are cleaned and shortened; a description is always there.",
         "names with brackets, long and empty descriptions",
         f"{MONEY}::test_e51_names_and_texts_that_the_books_refuse"),
    _row(52, "Created while a sync ran", "",
         "The next run starts at the vendor's time of the first page, less an overlap.",
         "pages that are read while the clock goes on",
         "src/psaltery/adapters/xero/tests/test_feeds.py::"
         "test_the_next_run_starts_at_xeros_time_of_the_first_page_less_the_overlap"),
)  # fmt: skip
