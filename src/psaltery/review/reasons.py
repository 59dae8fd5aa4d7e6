"""Why something is held, as data. Pure."""

from typing import Any

import msgspec


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One cause that holds a document back.

    `code` is a key of the catalogue. Documents with equal `code` and `about` share a card.
    `sentence` says what is wrong, with names and numbers; `details` feeds the repair.
    """

    code: str
    about: str
    sentence: str
    subject: str = ""
    details: dict[str, Any] = {}
