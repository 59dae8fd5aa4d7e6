"""Why something is held, as data. Pure."""

from decimal import Decimal
from typing import Any

import msgspec


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One cause that holds a document back.

    `code` is a key of the catalogue. Documents with equal `code` and `about` share a card.
    `sentence` says what is wrong, with names and numbers; `details` feeds the repair. `amount` is
    money that is on no document, such as money nobody has applied.
    """

    code: str
    about: str
    sentence: str
    subject: str = ""
    amount: Decimal | None = None
    currency: str = ""
    details: dict[str, Any] = {}
