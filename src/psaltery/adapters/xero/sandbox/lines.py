"""Line items: what may stand on them, and Xero's arithmetic to the cent.

https://developer.xero.com/documentation/guides/how-to-guides/rounding-in-xero
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from psaltery.adapters.sandboxing import Document
from psaltery.adapters.xero.sandbox.answers import Refused
from psaltery.adapters.xero.sandbox.state import Books, fold, new_id

# Every amount that is kept has two decimals; quantities and, if asked for, prices four.
CENT = Decimal("0.01")
FOUR = Decimal("0.0001")
LARGEST = Decimal("9999999999.99")
ZERO = Decimal("0.00")


def cents(value: Decimal) -> Decimal:
    """Half a cent goes up, away from zero; bankers' rounding would differ."""
    return value.quantize(CENT, ROUND_HALF_UP)


def amount(value: Any, name: str) -> Decimal:
    """A number of the request. Raises `Refused` for what is none."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise Refused(f"{name} is not a valid number")
    return number


@dataclass(frozen=True)
class Rules:
    """What the document asks of its lines."""

    sales: bool
    approving: bool
    amount_types: str
    four_decimals: bool
    tax_needed: bool = True


@dataclass
class Totals:
    lines: list[Document] = field(default_factory=list)
    sub_total: Decimal = ZERO
    total_tax: Decimal = ZERO
    discount: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """Net and tax together, which for inclusive lines is what was sent."""
        return self.sub_total + self.total_tax


def worked_out(books: Books, sent: list[Document], rules: Rules) -> Totals:
    """The lines as Xero keeps them, with the totals. Raises `Refused` with every problem found."""
    totals, messages = Totals(), []
    for line in sent:
        try:
            _add(totals, _line(books, line, rules), rules)
        except Refused as refused:
            # Each line is looked at, so that a person mends all of them in one go.
            messages += refused.messages
    if messages:
        raise Refused(*dict.fromkeys(messages))
    return totals


def _add(totals: Totals, line: Document, rules: Rules) -> None:
    totals.lines.append(line)
    net, tax = line.get("LineAmount", ZERO), line.get("TaxAmount", ZERO)
    # Sums of rounded lines; tax is never worked out on the sum.
    totals.sub_total += net - tax if rules.amount_types == "Inclusive" else net
    totals.total_tax += tax
    totals.discount += line.pop("_discount", ZERO)


def _line(books: Books, sent: Document, rules: Rules) -> Document:
    line: Document = {"LineItemID": sent.get("LineItemID") or new_id()}
    # An item fills in what the line leaves open; what the line says wins.
    item = _item(books, sent, rules)
    defaults = _item_defaults(item, rules)
    merged = {**defaults, **{k: v for k, v in sent.items() if v is not None}}
    line["Description"] = str(merged.get("Description") or "")
    if not any(merged.get(name) is not None for name in ("Quantity", "UnitAmount", "LineAmount")):
        return _text_line(line, merged, rules)
    _check_text(line, rules)
    if item:
        line["ItemCode"] = item["Code"]
        own = {name: item[name] for name in ("ItemID", "Name", "Code") if name in item}
        line["Item"] = own
    line |= _amounts(merged, rules)
    line |= _account_and_tax(books, merged, rules)
    line["TaxAmount"] = _tax_amount(books, line, merged, rules)
    line["Tracking"] = _tracking(books, merged.get("Tracking") or [])
    return line


def _check_text(line: Document, rules: Rules) -> None:
    if rules.approving and not line["Description"]:
        raise Refused("Description must be specified")
    # Xero's own limit for a line's text.
    if len(line["Description"]) > 4000:
        raise Refused("The description field must not exceed 4000 characters")


def _text_line(line: Document, sent: Document, rules: Rules) -> Document:
    """A line with a description alone is text and has no money on it."""
    if not line["Description"]:
        raise Refused("Description must be specified")
    zero = {"TaxAmount": ZERO, "LineAmount": ZERO, "Tracking": [], "Quantity": Decimal("0.0000")}
    if code := sent.get("AccountCode"):
        zero["AccountCode"] = code
    return {**line, **zero}


def _item(books: Books, sent: Document, rules: Rules) -> Document | None:
    code = sent.get("ItemCode")
    if not code:
        return None
    found = books.lookup("Items", "code", str(code))
    usable = [item for item in found if item.get("IsSold" if rules.sales else "IsPurchased", True)]
    if not usable:
        raise Refused(f"Item code '{code}' is not valid")
    return usable[0]


def _item_defaults(item: Document | None, rules: Rules) -> Document:
    if item is None:
        return {}
    details = item.get("SalesDetails" if rules.sales else "PurchaseDetails") or {}
    text = item.get("Description" if rules.sales else "PurchaseDescription")
    defaults = {"Description": text or item.get("Name"), "UnitAmount": details.get("UnitPrice")}
    defaults |= {"AccountCode": details.get("AccountCode"), "TaxType": details.get("TaxType")}
    return {name: value for name, value in defaults.items() if value is not None}


def _amounts(sent: Document, rules: Rules) -> Document:
    """Price first to its decimals, then quantity times price to cents; two of three suffice."""
    given = {
        name: amount(sent[name], name)
        for name in ("Quantity", "UnitAmount", "LineAmount")
        if sent.get(name) is not None
    }
    quantity = given.get("Quantity", Decimal(1) if "LineAmount" not in given else None)
    if quantity is not None:
        quantity = quantity.quantize(FOUR, ROUND_HALF_UP)
    price = _price(given, quantity, sent, rules)
    # Amount and price are given: the quantity follows, to four decimals.
    if quantity is None:
        quantity = Decimal(1) if not price else (given["LineAmount"] / price).quantize(FOUR)
    gross = quantity * price
    line_amount = cents(gross - _discount(gross, sent, rules))
    _check_amount(given, line_amount)
    if "LineAmount" in given and "UnitAmount" not in given:
        line_amount = cents(given["LineAmount"])
    result: Document = {"UnitAmount": price, "LineAmount": line_amount, "Quantity": quantity}
    return {**result, **_discount_shown(sent, gross, line_amount, rules)}


def _price(
    given: dict[str, Decimal], quantity: Decimal | None, sent: Document, rules: Rules
) -> Decimal:
    decimals = FOUR if rules.four_decimals else CENT
    # The price is rounded before anything is multiplied with it.
    if "UnitAmount" in given:
        return given["UnitAmount"].quantize(decimals, ROUND_HALF_UP)
    whole = given.get("LineAmount", ZERO)
    divisor = quantity or Decimal(1)
    rate = amount(sent.get("DiscountRate") or 0, "DiscountRate") if rules.sales else ZERO
    # The price that gives this amount after the discount.
    share = (100 - rate) / 100
    return (whole / divisor / (share or 1)).quantize(decimals, ROUND_HALF_UP)


def _discount(gross: Decimal, sent: Document, rules: Rules) -> Decimal:
    rate, fixed = sent.get("DiscountRate"), sent.get("DiscountAmount")
    if not rules.sales or not (rate or fixed):
        return Decimal(0)
    return gross * amount(rate, "DiscountRate") / 100 if rate else amount(fixed, "DiscountAmount")


def _discount_shown(sent: Document, gross: Decimal, line_amount: Decimal, rules: Rules) -> Document:
    if not rules.sales or not (sent.get("DiscountRate") or sent.get("DiscountAmount")):
        return {}
    shown: Document = {"_discount": cents(gross) - line_amount}
    for name in ("DiscountRate", "DiscountAmount"):
        if sent.get(name):
            shown[name] = amount(sent[name], name).quantize(CENT, ROUND_HALF_UP)
    return shown


def _check_amount(given: dict[str, Decimal], expected: Decimal) -> None:
    sent = given.get("LineAmount")
    # All three are given, so they have to agree to the cent.
    if sent is not None and "UnitAmount" in given and cents(sent) != expected:
        raise Refused(
            f"The line total {cents(sent)} does not match the expected line total {expected}"
        )
    # Larger amounts do not fit into Xero's database.
    if abs(expected) > LARGEST:
        raise Refused("The line amount must not exceed 9999999999.99")


def _account_and_tax(books: Books, sent: Document, rules: Rules) -> Document:
    account = find_account(books, sent)
    if account is None:
        if rules.approving:
            raise Refused("Account code or ID must be specified")
        tax = sent.get("TaxType")
        return {"TaxType": _tax_rate(books, tax)["TaxType"]} if tax else {}
    _check_usable(account, rules)
    # The line's own tax overrides the account's; without tax neither counts.
    tax_type = "NONE" if rules.amount_types == "NoTax" else sent.get("TaxType")
    tax_type = account["TaxType"] if tax_type is None else tax_type
    if rules.amount_types != "NoTax":
        rate = _tax_rate(books, tax_type)
        _check_pair(rate, account)
        tax_type = rate["TaxType"]
    shown = {"AccountCode": account["Code"]} if account.get("Code") else {}
    return {**shown, "AccountID": account["AccountID"], "TaxType": tax_type}


def find_account(books: Books, sent: Document) -> Document | None:
    """The account named by id or code, None when neither is given. Raises `Refused`."""
    if identifier := sent.get("AccountID"):
        account = books.get("Accounts", str(identifier))
        if account is None:
            raise Refused(f"Account ID '{identifier}' is not a valid ID for this document.")
        return account
    code = sent.get("AccountCode")
    if code in (None, ""):
        return None
    found = books.lookup("Accounts", "code", str(code))
    if not found:
        raise Refused(f"Account code '{code}' is not a valid code for this document.")
    return found[0]


def _check_usable(account: Document, rules: Rules) -> None:
    code = account.get("Code") or account["AccountID"]
    if account["Status"] != "ACTIVE":
        raise Refused(f"Account code '{code}' has been archived or deleted")
    # Receivables and payables are Xero's own business.
    system = account.get("SystemAccount") in ("DEBTORS", "CREDITORS")
    # Direct costs cannot be earned.
    wrong_side = rules.sales and account["Type"] in ("DIRECTCOSTS",)
    if account["Type"] == "BANK" or system or wrong_side:
        raise Refused(f"Account code '{code}' is not a valid code for this document.")


def _tax_rate(books: Books, tax_type: Any) -> Document:
    rate = next(
        (r for r in books.all("TaxRates") if fold(r["TaxType"]) == fold(str(tax_type))), None
    )
    # Rates that were deleted are listed, but not usable.
    if rate is None or rate["Status"] != "ACTIVE":
        raise Refused(f"The tax code '{tax_type}' is not valid")
    return rate


def _check_pair(rate: Document, account: Document) -> None:
    group = {"ASSET": "Assets", "EQUITY": "Equity", "EXPENSE": "Expenses"}
    group |= {"LIABILITY": "Liabilities", "REVENUE": "Revenue"}
    if not rate[f"CanApplyTo{group[account['Class']]}"]:
        code = account.get("Code") or account["AccountID"]
        raise Refused(
            f"The TaxType code '{rate['TaxType']}' cannot be used with account code '{code}'."
        )


def _tax_amount(books: Books, line: Document, sent: Document, rules: Rules) -> Decimal:
    """Tax of each line by itself, to cents; an amount given by the sender is kept."""
    if rules.amount_types == "NoTax":
        return ZERO
    # Xero trusts a tax amount that is posted, however odd.
    if sent.get("TaxAmount") is not None:
        return cents(amount(sent["TaxAmount"], "TaxAmount"))
    if not line.get("TaxType"):
        return ZERO
    rate = Decimal(_tax_rate(books, line["TaxType"])["EffectiveRate"]) / 100
    whole: Decimal = line["LineAmount"]
    if rules.amount_types == "Inclusive":
        # The net is rounded and the tax is the rest, so that both add up to what was sent.
        return whole - cents(whole / (1 + rate))
    return cents(whole * rate)


def _tracking(books: Books, sent: list[Document]) -> list[Document]:
    # An organisation has at most two active categories.
    if len(sent) > 2:
        raise Refused("A line item cannot have more than two tracking categories")
    return [_tracked(books, entry) for entry in sent]


def _tracked(books: Books, sent: Document) -> Document:
    category = _named(books.all("TrackingCategories"), sent, "TrackingCategoryID", "Name")
    if category is None:
        wanted = sent.get("Name") or sent.get("TrackingCategoryID")
        raise Refused(f"Tracking category '{wanted}' does not exist or is not active")
    option = _named(
        category["Options"], {**sent, "Name": sent.get("Option")}, "TrackingOptionID", "Name"
    )
    if option is None:
        wanted = sent.get("Option") or sent.get("TrackingOptionID")
        raise Refused(
            f"Tracking option '{wanted}' does not exist in tracking category '{category['Name']}'"
        )
    return {
        "Name": category["Name"],
        "Option": option["Name"],
        "TrackingCategoryID": category["TrackingCategoryID"],
        "TrackingOptionID": option["TrackingOptionID"],
    }


def _named(documents: list[Document], sent: Document, id_field: str, name: str) -> Document | None:
    for document in documents:
        if document["Status"] != "ACTIVE":
            continue
        # Ids win over names, which people change.
        if sent.get(id_field):
            if document[id_field].lower() == str(sent[id_field]).lower():
                return document
        elif sent.get(name) and fold(document[name]) == fold(str(sent[name])):
            return document
    return None


def shown(line: Document, four_decimals: bool) -> Document:
    """The line as read: the price has two decimals unless four were asked for."""
    price = line.get("UnitAmount")
    if price is None or four_decimals:
        return line
    return {**line, "UnitAmount": cents(Decimal(price))}
