"""The rate of exchange that a document is posted at. Pure."""

import re
from decimal import Decimal

from psaltery.posting.situation import Situation

_PARTS = re.compile(r"[,;\n]")
# Six places are what Xero keeps of a rate.
# https://developer.xero.com/documentation/api/accounting/invoices
_RATE = re.compile(r"([A-Za-z]{3})\s+(\d{1,9}(?:\.\d{1,6})?)")


def fixed_rates(text: str) -> dict[str, Decimal]:
    """Currency → how much of it one unit of the base currency buys, from `Policy.rates`.

    Raises ValueError, saying what is wrong.
    """
    found: dict[str, Decimal] = {}
    for part in filter(None, (part.strip() for part in _PARTS.split(text))):
        match = _RATE.fullmatch(part)
        if match is None or not Decimal(match[2]):
            raise ValueError(f"“{part}” is no currency and rate, such as USD 0.6512.")
        if match[1].upper() in found:
            raise ValueError(f"{match[1].upper()} is there twice.")
        found[match[1].upper()] = Decimal(match[2])
    return found


def rate_of(situation: Situation) -> Decimal | None:
    """The rate for the document; None: the books' own of the day."""
    currency, link = situation.document.currency, situation.link
    if currency in ("", situation.book.base_currency):
        return None
    # The rate that it was posted at is kept, whatever is set since.
    if link is not None and link.posted is not None and link.posted.currency == currency:
        return link.posted.rate
    return fixed_rates(situation.book.policy.rates).get(currency)
