"""What Xero's sentences mean: each known message as a problem code with its subject.

Xero has no codes of its own for validation, so the wording is matched, loosely and in order: the
first pattern that is found wins, an unknown message is "rejected" and is still shown as it came.
"""

import re
from collections.abc import Iterator
from typing import Any

from psaltery.records.drafts import Problem

_QUOTED = r"['‘’\"](?P<subject>[^'‘’\"]+)['‘’\"]"

# (code, pattern). A named group `subject` is what the problem is about; `tax` and `account`
# together make the subject "tax/account".
_PATTERNS: tuple[tuple[str, str], ...] = (
    ("idempotency_conflict", r"idempotency key"),
    ("contact_name_taken", r"contact name (?P<subject>.+?) is already assigned to another contact"),
    ("contact_merged", r"contact\b.*\bmerged"),
    ("contact_archived", rf"contact {_QUOTED} .*archived"),
    ("contact_archived", r"contact\b.*\b(un-?)?archived"),
    ("account_number_taken", r"account number already exists"),
    (
        "contact_number_taken",
        r"contact number\b.*(already|in use)|another contact has this contact",
    ),
    ("email_invalid", rf"e-?mail\b.*?{_QUOTED}.*valid"),
    ("email_invalid", r"(e-?mail|website)\b.*\b(valid|invalid|format)"),
    ("email_invalid", r"no e-?mail|primary person.*e-?mail"),
    (
        "tax_not_for_account",
        r"tax ?type code '(?P<tax>[^']*)' cannot be used with account code '(?P<account>[^']*)'",
    ),
    ("tax_missing", r"tax ?(type|code|rate)\b.*\b(mandatory|must be specified|required)"),
    ("tax_missing", r"tax (code|type) ['\"]{2}"),
    ("tax_invalid", rf"tax ?(type|code|rate)\b.*?{_QUOTED}"),
    ("tax_invalid", r"tax ?(type|code|rate)\b.*(valid|exist|found|active|archived|deleted)"),
    ("account_archived", rf"account\b.*?{_QUOTED}.*(archived|deleted|inactive)"),
    ("account_archived", r"account\b.*(archived|deleted|inactive)"),
    ("payment_account_invalid", r"account type is invalid for making a payment"),
    ("payment_account_invalid", r"account\b.*\b(payments? (to|against)|enable payments)"),
    ("payment_locked", r"accounts? (are|is) locked on the specified payment|payment date.*lock"),
    (
        "account_missing",
        r"account ?(code)?( or id)? (must be|is|not) (specified|required|mandatory)",
    ),
    ("account_missing", r"account ?(code)?( or id)? field is mandatory|account could not be found"),
    ("account_invalid", rf"account (code|id) {_QUOTED}"),
    ("account_invalid", r"account code\b.*\b(valid|recognised|exist)"),
    ("tracking_invalid", rf"tracking\b.*?{_QUOTED}"),
    ("tracking_invalid", r"tracking"),
    ("item_taken", rf"item with code {_QUOTED} already exists"),
    ("item_invalid", rf"item (with )?code {_QUOTED}"),
    ("item_invalid", r"item code\b.*(valid|exist|length|characters)"),
    ("line_total_mismatch", r"line total (?P<subject>\S+) does not match the expected line total"),
    ("line_total_mismatch", r"line (total|amount)\b.*(match|expected|equal)"),
    ("total_mismatch", r"total does not equal|total\b.*\b(sum of the lines|does not match)"),
    ("negative_total", r"total\b.*\b(negative|(less than|below) zero|zero or (greater|more))"),
    ("number_taken", r"(# |number )must be unique|number\b.*\balready (exists|used|in use)"),
    ("line_id_unknown", r"could not find line item.*id\(s\):?\s*(?P<subject>[0-9a-f-]{36})?"),
    ("has_payments", r"(payments?|credit notes?)( or (payments?|credit notes?))? allocated"),
    ("reconciled", r"reconciled"),
    (
        "status_not_editable",
        r"not of valid status|only be made against authorised",
    ),
    ("voided_in_books", r"\bvoided\b|has (already )?been deleted"),
    ("period_locked", r"(period|end of (financial )?year|year[- ]end) lock date|locked period"),
    ("period_locked", r"period\b.*\blocked|\block date"),
    ("currency_not_subscribed", r"not subscribed to currency\s+(?P<subject>[A-Z]{3})"),
    ("currency_not_subscribed", r"not subscribed to currency|currency\b.*\b(valid|subscribed)"),
    ("plan_limit", r"reached the limit of|pricing plan|upgrade your"),
    ("due_date_missing", r"due ?date\b.*\b(specified|required|mandatory|empty|given)"),
    ("payment_exceeds_due", r"amount exceeds the amount (outstanding|due)"),
    ("payment_exceeds_due", r"amount\b.*\b(exceeds|greater than)\b.*\b(outstanding|due|remaining)"),
    ("permission_denied", r"permission|not (authorised|permitted) to"),
    ("document_not_found", r"could not be found|was not found|not found|does not exist"),
    ("text_invalid", r"invalid character|too long|(exceeds?|maximum|max) .*(length|characters)"),
    ("text_invalid", r"\d+ characters|length (must|of)|cannot contain the characters"),
    (
        "field_missing",
        r"(the )?(?P<subject>[\w ]+?) (field )?(is mandatory|must be (specified|provided))",
    ),
    ("field_missing", r"(the )?(?P<subject>[\w ]+?) (is required|cannot be (empty|blank|null))"),
    ("field_missing", r"must contain at least"),
)
_COMPILED = tuple((code, re.compile(pattern, re.IGNORECASE)) for code, pattern in _PATTERNS)


def problem(message: str, field: str = "") -> Problem:
    """The problem that a message tells; code "rejected" for a message nobody has met yet."""
    for code, pattern in _COMPILED:
        if (match := pattern.search(message)) is not None:
            return Problem(code=code, message=message, field=field, subject=_subject(match))
    return Problem(code="rejected", message=message, field=field)


def _subject(match: re.Match[str]) -> str:
    groups = match.groupdict()
    if "tax" in groups:
        return f"{groups['tax']}/{groups['account']}"
    return (groups.get("subject") or "").strip()


def problems_in(tree: Any) -> tuple[Problem, ...]:
    """Every validation error of an element, wherever it sits; the same one only once.

    `field` is the path to it, such as "LineItems.2" or "Contact".
    """
    found = dict.fromkeys(_told(tree, "ValidationErrors", ""))
    return tuple(problem(text, path) for path, text in found)


def warnings_in(tree: Any) -> tuple[str, ...]:
    """Every warning of an element: saved, but perhaps with data removed."""
    return tuple(dict.fromkeys(text for _, text in _told(tree, "Warnings", "")))


def _told(tree: Any, member: str, path: str) -> Iterator[tuple[str, str]]:
    match tree:
        case dict():
            for entry in tree.get(member) or ():
                if text := _text(entry):
                    yield path, text
            for name, value in tree.items():
                if name not in ("ValidationErrors", "Warnings"):
                    yield from _told(value, member, f"{path}.{name}".lstrip("."))
        case list():
            for index, value in enumerate(tree):
                yield from _told(value, member, f"{path}.{index}".lstrip("."))


def _text(entry: Any) -> str:
    """The sentence of one error; some samples carry `Description` in place of `Message`."""
    if isinstance(entry, str):
        return entry
    if isinstance(entry, dict):
        return str(entry.get("Message") or entry.get("Description") or "")
    return ""
