"""What an organisation wants: the policies that decisions obey. Stored on the organisation."""

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from psaltery.records.books import Status


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Policies of one organisation. Defaults are the careful ones."""

    status: Status = Status.AUTHORISED  # what posted documents become: draft, submitted, authorised
    credit_notes: bool = True  # whether credit memos become credit notes
    create_contacts: bool = True
    post_from: date | None = None  # older documents are adopted or skipped, never posted
    due_days: int = 14  # where neither the PSA nor its terms give a due date
    adjustment_cap: Decimal = Decimal("0.05")  # greatest rounding line, and greatest tax override
    adjustment_account: str = ""  # "": the books' own ROUNDING account
    branding_theme_id: str = ""


def read_policy(settings: dict[str, Any]) -> Policy:
    """The policy in an organisation's settings; what is not set has its default."""
    return msgspec.convert(settings, Policy, strict=False)


def stored_policy(policy: Policy) -> dict[str, Any]:
    """The form that `read_policy` reads."""
    plain: dict[str, Any] = msgspec.to_builtins(policy)
    return plain
