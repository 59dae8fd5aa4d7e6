"""A PSA document shaped for the books, to the cent, or the reasons why it can't be. Pure."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from psaltery.mapping.lookup import (
    ACCOUNT_KEYS,
    TRACKING_KEYS,
    Choice,
    Mappings,
    account_keys,
    list_for,
    tax_key,
    tracking_keys,
)
from psaltery.posting import locks
from psaltery.posting.arithmetic import Totals, fit, line_amount, tax_of, totals
from psaltery.posting.gates import usual_status
from psaltery.posting.kinds import kind_of
from psaltery.posting.locks import Dating
from psaltery.posting.rates import rate_of
from psaltery.posting.situation import AccountFact, Situation, TaxFact
from psaltery.records.books import Status, TaxMode
from psaltery.records.drafts import BooksKind, Draft, DraftLine, TrackingChoice
from psaltery.records.money import ZERO, cents
from psaltery.records.psa import PURCHASES, Document, DocumentLine
from psaltery.review.reasons import Reason

Reasons = tuple[Reason, ...]
# Classes that a sale may be posted to (E12); liabilities for deferred revenue.
_SALES_CLASSES = ("REVENUE", "LIABILITY", "EQUITY", "ASSET", "EXPENSE")
_PURCHASE_CLASSES = ("EXPENSE", "ASSET", "LIABILITY", "EQUITY")
# The most that Xero takes for one line:
# https://developer.xero.com/documentation/api/accounting/invoices
_DESCRIPTION = 4000


class Squared(msgspec.Struct):
    """Lines whose total and tax are the PSA's, and what that took."""

    lines: list[DraftLine]
    rounding: Decimal
    tax_rounding: Decimal


class Shaped(msgspec.Struct):
    """One line on its way: what was chosen, or why nothing could be."""

    line: DraftLine | None
    reasons: list[Reason]


def build(situation: Situation, external_id: str = "") -> Draft | Reasons:
    """The draft whose total and tax are the PSA's, or every reason that stands in the way."""
    shaped = [_line(situation, line) for line in situation.document.lines]
    # All of them at once, each once: a person mends them in one go.
    reasons = {(r.code, r.about): r for each in shaped for r in each.reasons}
    if reasons:
        return tuple(reasons.values())
    lines = [each.line for each in shaped if each.line is not None]
    squared = _square(situation, lines)
    if isinstance(squared, Reason):
        return (squared,)
    return _draft(situation, squared, external_id)


def _draft(situation: Situation, squared: Squared, external_id: str) -> Draft:
    document, policy = situation.document, situation.book.policy
    dates = locks.dating(situation)
    reference = document.customer_po or document.reference
    return Draft(
        kind=kind_of(situation),
        number=situation.books_number or document.number,
        contact_id=situation.contact_link_id,
        status=_status(situation, dates),
        issued_on=dates.issued_on,
        due_on=_due(document, dates, policy.due_days),
        currency=document.currency or situation.book.base_currency,
        tax_mode=document.tax_mode,
        rate=rate_of(situation),
        lines=_noted(situation, squared.lines, dates),
        reference=locks.note(reference, dates),
        url=situation.source_url,
        # A theme is how an invoice looks that we print; a bill is the vendor's.
        branding_theme_id="" if is_purchase(document) else policy.branding_theme_id,
        moved_from=dates.moved_from,
        bank_account_id=policy.spend_account if kind_of(situation) is BooksKind.SPEND else "",
        external_id=external_id,
        subtotal=_net(situation),
        tax=document.tax,
        total=document.total,
        rounding=squared.rounding,
        tax_rounding=squared.tax_rounding,
    )


def is_purchase(document: Document) -> bool:
    """Whether the document is owed to somebody: a bill in the books."""
    return document.kind in PURCHASES


# In this order a document goes through the books; never back, since people approve it there.
_STEPS = (Status.DRAFT, Status.SUBMITTED, Status.AUTHORISED)


def _noted(situation: Situation, lines: list[DraftLine], dates: Dating) -> tuple[DraftLine, ...]:
    """A bill has no reference in the books: its first line says which date the PSA has."""
    if dates.moved_from is None or not is_purchase(situation.document):
        return tuple(lines)
    first = f"{lines[0].description[: _DESCRIPTION - 50]} ({locks.remark(dates)})"
    return (msgspec.structs.replace(lines[0], description=first), *lines[1:])


def _status(situation: Situation, dates: Dating) -> Status:
    """What the settings say, or what somebody has made of it in the books already."""
    policy, link = situation.book.policy, situation.link
    kind = kind_of(situation)
    if kind is BooksKind.PURCHASE_ORDER:
        return Status.BILLED if situation.billed else Status.AUTHORISED
    if kind is BooksKind.SPEND:
        return Status.AUTHORISED  # money that was spent knows no draft
    wanted = policy.bill_status if is_purchase(situation.document) else usual_status(situation)[0]
    if dates.as_draft:
        return Status.DRAFT
    if dates.moved_from and link is not None and link.posted is not None:
        # One that went as a draft for a lock is not approved by an edit.
        wanted = link.posted.status
    reached = link.status if link is not None and link.status in _STEPS else wanted
    # To go back would undo an approval that somebody gave in the books.
    return max(wanted, reached, key=_STEPS.index) if wanted in _STEPS else wanted


def _list(situation: Situation, what: str) -> str:
    return list_for(what, situation.document.kind)


def _bought(situation: Situation) -> str:
    """Purchases are told apart in sentences and causes: they have lists of their own."""
    return "purchase " if is_purchase(situation.document) else ""


def _cause(situation: Situation, about: str) -> str:
    return f"purchase:{about}" if is_purchase(situation.document) else about


def _due(document: Document, dates: Dating, days: int) -> date:
    due_on = document.due_on or document.issued_on + timedelta(days=days)
    # A date that was moved for a lock may lie behind the day on which it is due.
    return max(due_on, dates.issued_on) if dates.moved_from else due_on


def _net(situation: Situation) -> Decimal:
    return situation.document.total - situation.document.tax


def _line(situation: Situation, line: DocumentLine) -> Shaped:
    reasons: list[Reason] = []
    account = _account(situation, line, reasons)
    rate = _tax(situation, line, reasons)
    tracking = _tracking(situation, line, reasons)
    if account and rate and rate.classes and account.account_class not in rate.classes:
        reasons.append(_tax_not_for_account(situation, line, account, rate))
    if reasons or account is None or rate is None:
        return Shaped(None, reasons)
    quantity, unit_amount = fit(line.quantity, line.unit_price, cents(line.amount))
    return Shaped(
        DraftLine(
            description=_description(line, quantity),
            quantity=quantity,
            unit_amount=unit_amount,
            line_amount=line_amount(quantity, unit_amount),
            account_code=account.code,
            tax_type=rate.tax_type,
            tracking=tracking,
            item_code=_item(situation, line),
        ),
        [],
    )


def _item(situation: Situation, line: DocumentLine) -> str:
    wanted = situation.book.policy.items and line.source == "product"
    return situation.book.item_of(line.product) if wanted and line.product.strip() else ""


def _description(line: DocumentLine, quantity: Decimal) -> str:
    """The PSA's words; the true quantity and price where the books can't hold them."""
    text = line.description.strip() or line.product or line.work_type or line.source.capitalize()
    if quantity != line.quantity:
        text = f"{text} ({line.quantity.normalize():f} × {line.unit_price.normalize():f})"
    return text[:_DESCRIPTION]


def _account(situation: Situation, line: DocumentLine, reasons: list[Reason]) -> AccountFact | None:
    list_ = _list(situation, "account")
    choice = situation.book.mappings.first(list_, account_keys(line, situation.document))
    if choice.entry is None:
        reasons.append(_unmapped_account(situation, choice))
        return None
    code = choice.entry.target
    fact = situation.book.accounts.get(code)
    problem = _account_problem(situation, code, fact)
    if problem is not None:
        details = {"list": list_, **_mapping_details(choice)}
        reasons.append(msgspec.structs.replace(problem, details=details))
        return None
    return fact


def _mapping_details(choice: Choice) -> dict[str, Any]:
    key = choice.key
    return {"key_kind": key.kind, "key": key.value} if key is not None else {}


def _unmapped_account(situation: Situation, choice: Choice) -> Reason:
    first = choice.tried[0]
    words = f"{ACCOUNT_KEYS[first.kind].lower()} “{first.value}”"
    return Reason(
        code="account_unmapped",
        about=_cause(situation, f"{first.kind}:{first.value.casefold()}"),
        subject=first.value,
        sentence=f"{situation.book.name} has no {_bought(situation)}account for the {words}.",
        details={
            "list": _list(situation, "account"),
            "key_kind": first.kind,
            "key": first.value,
            "tried": [[key.kind, key.value] for key in choice.tried],
        },
    )


def _account_problem(situation: Situation, code: str, fact: AccountFact | None) -> Reason | None:
    book = situation.book.name
    bought = is_purchase(situation.document)
    classes = _PURCHASE_CLASSES if bought else _SALES_CLASSES
    if fact is None:
        found, sentence = "account_missing", f"Account {code} does not exist in {book}."
    elif not fact.active:
        found, sentence = "account_archived", f"Account {code} {fact.name} is archived in {book}."
    elif fact.account_class not in classes or fact.system in ("DEBTORS", "CREDITORS"):
        found = "account_invalid"
        paper = "a bill" if bought else "an invoice"
        sentence = f"Account {code} {fact.name} of {book} can't be used on {paper}."
    else:
        return None
    about = _cause(situation, f"account:{code}")
    return Reason(code=found, about=about, subject=code, sentence=sentence)


def _tax(situation: Situation, line: DocumentLine, reasons: list[Reason]) -> TaxFact | None:
    key = tax_key(line, situation.document)
    list_ = _list(situation, "tax")
    choice = situation.book.mappings.first(list_, [key])
    details = {"list": list_, "key_kind": key.kind, "key": key.value}
    what = f"the tax code “{key.value}”" if key.kind == "tax_code" else "lines without tax"
    if choice.entry is None:
        reasons.append(
            Reason(
                code="tax_unmapped",
                about=_cause(situation, f"{key.kind}:{key.value.casefold()}"),
                subject=key.value or "no tax",
                sentence=f"{situation.book.name} has no {_bought(situation)}tax rate for {what}.",
                details=details,
            )
        )
        return None
    rate = situation.book.tax_rates.get(choice.entry.target)
    if rate is None or not rate.active:
        reasons.append(
            Reason(
                code="tax_invalid",
                about=_cause(situation, f"tax:{choice.entry.target}"),
                subject=choice.entry.target,
                sentence=f"The tax rate {choice.entry.target}, chosen for {what}, "
                f"is not active in {situation.book.name}.",
                details=details,
            )
        )
        return None
    return rate


def _tax_not_for_account(
    situation: Situation, line: DocumentLine, account: AccountFact, rate: TaxFact
) -> Reason:
    mappings, document = situation.book.mappings, situation.document
    chosen = mappings.first(_list(situation, "account"), account_keys(line, document))
    taxed = mappings.first(_list(situation, "tax"), [tax_key(line, document)])
    return Reason(
        code="tax_not_for_account",
        about=_cause(situation, f"pair:{account.code}:{rate.tax_type}"),
        subject=f"{rate.tax_type} on {account.code}",
        sentence=f"The tax rate {rate.name} can't be used with account {account.code} "
        f"{account.name} in {situation.book.name}.",
        details={
            "list": _list(situation, "account"),
            "account": _mapping_details(chosen),
            "tax": _mapping_details(taxed),
        },
    )


def _tracking(
    situation: Situation, line: DocumentLine, reasons: list[Reason]
) -> tuple[TrackingChoice, ...]:
    """One option for each key that the organisation maps; none for keys it does not use."""
    # A line takes one option of a category: https://developer.xero.com/documentation/api/accounting/types
    chosen: dict[str, TrackingChoice] = {}
    for key in tracking_keys(line, situation.document):
        if not key.value or not situation.book.mappings.uses("tracking", key.kind):
            continue
        choice = situation.book.mappings.first("tracking", [key])
        option = situation.book.options.get(choice.entry.target) if choice.entry else None
        if option is None or not option.active:
            reasons.append(_tracking_reason(situation, key.kind, key.value, choice, option))
            continue
        choice_ = (option.category_id, option.category, option.external_id, option.name)
        chosen.setdefault(option.category_id, TrackingChoice(*choice_))
    return tuple(chosen.values())


def _tracking_reason(
    situation: Situation, kind: str, value: str, choice: Choice, option: Any
) -> Reason:
    code = "tracking_unmapped" if choice.entry is None else "tracking_invalid"
    what = f"{TRACKING_KEYS[kind].lower()} “{value}”"
    if code == "tracking_unmapped":
        sentence = f"{situation.book.name} has no tracking option for the {what}."
    else:
        named = f"“{option.name}” " if option is not None else ""
        sentence = f"The tracking option {named}for the {what} is gone from {situation.book.name}."
    return Reason(
        code=code,
        about=f"{kind}:{value.casefold()}",
        subject=value,
        sentence=sentence,
        details={"key_kind": kind, "key": value},
    )


def _square(situation: Situation, lines: list[DraftLine]) -> Squared | Reason:
    """Bring total and tax to the PSA's: a rounding line, then a tax override, within the cap."""
    document, book = situation.document, situation.book
    rates = {tax_type: fact.rate for tax_type, fact in book.tax_rates.items()}
    reached = totals(lines, rates, document.tax_mode)
    missing = _missing_amount(situation, reached)
    if missing:
        added = _rounding_line(situation, missing)
        if isinstance(added, Reason):
            return added
        lines = [*lines, added]
        reached = totals(lines, rates, document.tax_mode)
    tax_missing = document.tax - reached.tax
    if tax_missing:
        overridden = _override_tax(situation, lines, reached.tax, rates)
        if isinstance(overridden, Reason):
            return overridden
        lines = overridden
        reached = totals(lines, rates, document.tax_mode)
    if (reached.total, reached.tax) != (document.total, document.tax):
        return _mismatch(situation, "total_mismatch", reached)
    return Squared(lines, missing, tax_missing)


def _missing_amount(situation: Situation, reached: Totals) -> Decimal:
    """What the lines lack; compared on the side that the lines are given in."""
    if situation.document.tax_mode is TaxMode.INCLUSIVE:
        return situation.document.total - reached.total
    return _net(situation) - reached.subtotal


def _rounding_line(situation: Situation, missing: Decimal) -> DraftLine | Reason:
    book = situation.book
    if abs(missing) > book.policy.adjustment_cap:
        reached = situation.document.total - missing
        return _mismatch(situation, "total_mismatch", Totals(ZERO, ZERO, reached))
    code = book.policy.adjustment_account or next(
        (fact.code for fact in book.accounts.values() if fact.system == "ROUNDING"), ""
    )
    untaxed_key = tax_key(_UNTAXED, situation.document)
    untaxed = book.mappings.first(_list(situation, "tax"), [untaxed_key]).entry
    if not code or untaxed is None:
        return Reason(
            code="adjustment_account_missing",
            about="adjustment",
            subject=book.name,
            sentence=f"{book.name} has no account or untaxed rate for {missing} of rounding.",
        )
    return DraftLine(
        description="Rounding",
        quantity=Decimal(1),
        unit_amount=missing,
        line_amount=missing,
        account_code=code,
        tax_type=untaxed.target,
    )


_UNTAXED = DocumentLine(
    key="rounding",
    source="adjustment",
    description="Rounding",
    quantity=Decimal(1),
    unit_price=ZERO,
    amount=ZERO,
    taxable=False,
)


def _override_tax(
    situation: Situation, lines: list[DraftLine], reached: Decimal, rates: dict[str, Decimal]
) -> list[DraftLine] | Reason:
    """Put the cents on the largest taxed line, so that the document's tax is the PSA's."""
    document = situation.document
    missing = document.tax - reached
    taxed = [place for place, line in enumerate(lines) if rates.get(line.tax_type)]
    if abs(missing) > situation.book.policy.adjustment_cap or not taxed:
        return _mismatch(situation, "tax_mismatch", Totals(ZERO, reached, ZERO))
    place = max(taxed, key=lambda at: abs(lines[at].line_amount or ZERO))
    tax = tax_of(lines[place], rates, document.tax_mode) + missing
    changed = msgspec.structs.replace(lines[place], tax_amount=tax)
    return [*lines[:place], changed, *lines[place + 1 :]]


def _mismatch(situation: Situation, code: str, reached: Totals) -> Reason:
    document = situation.document
    if code == "tax_mismatch":
        rates = sorted({tax_key(line, document).value or "no tax" for line in document.lines})
        sentence = (
            f"{document.number}: the PSA charged {document.tax:,.2f} of tax, the mapped rates "
            f"({', '.join(rates)}) give {reached.tax:,.2f}."
        )
    else:
        sentence = (
            f"{document.number}: the PSA's total is {document.total:,.2f}, its lines come to "
            f"{reached.total:,.2f}; more than rounding explains."
        )
    return Reason(
        code=code,
        about=f"document:{document.external_id}",
        subject=document.number,
        sentence=sentence,
        details={
            "list": _list(situation, "tax"),
            "key_kind": "tax_code",
            "key": document.tax_code,
        },
    )


def explain(situation: Situation, draft: Draft) -> dict[str, Any]:
    """Why each value is what it is: the document's settings, and each line's chain."""
    policy = situation.book.policy
    mappings = situation.book.mappings
    lines = [explain_line(mappings, situation.document, line) for line in situation.document.lines]
    extra = len(draft.lines) - len(lines)
    lines += [{"account": {"why": "rounding, within the cap"}}] * extra
    return {
        "organisation": situation.book.name,
        "route": situation.route,
        "status": f"{draft.status.value}: {usual_status(situation)[1]}",
        "due_on": "the PSA's due date"
        if situation.document.due_on
        else f"{policy.due_days} days: the organisation's setting",
        "contact": situation.contact.name if situation.contact else draft.contact_id,
        "lines": lines,
        **locks.explained(locks.dating(situation)),
    }


def explain_line(mappings: Mappings, document: Document, line: DocumentLine) -> dict[str, Any]:
    """The chain of one line: which entry answered for its account, tax and tracking, if any."""
    kind = document.kind
    account = mappings.first(list_for("account", kind), account_keys(line, document))
    tax = mappings.first(list_for("tax", kind), [tax_key(line, document)])
    tracking = [
        mappings.first("tracking", [key]) for key in tracking_keys(line, document) if key.value
    ]
    return {
        "key": line.key,
        "account": _explain_choice(account),
        "tax": _explain_choice(tax),
        "tracking": [_explain_choice(choice) for choice in tracking if choice.entry],
    }


def _explain_choice(choice: Choice) -> dict[str, Any]:
    entry, key = choice.entry, choice.key
    return {
        "target": entry.target if entry else "",
        "mapping": entry.id if entry else None,
        "version": entry.version if entry else None,
        "key_kind": key.kind if key else "",
        "key": key.value if key else "",
        "tried": [[tried.kind, tried.value] for tried in choice.tried],
    }
