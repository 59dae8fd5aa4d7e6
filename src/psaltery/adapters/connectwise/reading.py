"""Values of the wire, read leniently. Pure."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal

from psaltery.adapters.connectwise.wire import CustomField, Record, Ref
from psaltery.kit.text import clean
from psaltery.records.money import ZERO

_FIRST_YEAR, _LAST_YEAR = 1900, 2200  # outside of these a date is a placeholder, e.g. 0001-01-01


def custom(fields: Iterable[CustomField] | None) -> dict[str, str]:
    """The tenant's own fields that have a value, by caption; a flag reads yes or no."""
    words = {True: "yes", False: "no"}
    return {
        text(field.caption): words[field.value]
        if isinstance(field.value, bool)
        else text(str(field.value))
        for field in fields or ()
        if text(field.caption) and field.value not in (None, "")
    }


def text(value: str | None) -> str:
    """The text without control characters and blanks at its ends; "" for null."""
    return clean(value or "").strip()


def amount(value: Decimal | None) -> Decimal:
    """The number, zero for null."""
    return ZERO if value is None else value


def plain(value: Decimal | None) -> Decimal:
    """The number without zeros at its end, zero for null. Endpoints write the same number with more
    or fewer of them, and a document's content must not change by that."""
    number = amount(value)
    whole = number.to_integral_value()
    return whole if number == whole else number.normalize()


def day(value: str | None) -> date | None:
    """The calendar day as ConnectWise writes it; None for null, nonsense and placeholders.

    No zone is applied: the day of an invoice is stored as midnight UTC of that day.
    """
    try:
        found = date.fromisoformat((value or "")[:10])
    except ValueError:
        return None
    return found if _FIRST_YEAR <= found.year <= _LAST_YEAR else None


def moment(value: str | None) -> datetime | None:
    """The moment, aware, in UTC; a text without a zone is UTC already."""
    try:
        found = datetime.fromisoformat(value or "")
    except ValueError:
        return None
    if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        return None
    # Exports leave the zone out where the rest of the API writes a Z.
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def updated_at(record: Record) -> datetime | None:
    """When the record last changed, by the site's clock."""
    return moment(record.info.last_updated) if record.info else None


def entered_at(record: Record) -> datetime | None:
    """When the record was made."""
    return moment(record.info.date_entered) if record.info else None


def name(ref: Ref | None) -> str:
    """What people call the referred record."""
    return text(ref.name or ref.identifier) if ref else ""


def identifier(ref: Ref | None) -> str:
    """The short unique text of the referred record, its name where it has none."""
    return text(ref.identifier or ref.name) if ref else ""


def ref_id(ref: Ref | None) -> str:
    """The referred record's id as text, "" for none."""
    return str(ref.id) if ref and ref.id else ""


def currency(ref: Ref | None) -> str:
    """The ISO code. Operators type identifiers and names themselves, so those come last."""
    if ref is None:
        return ""
    # A sample called a currency francs whose ISO code was EUR: names are never looked at.
    return text(ref.currency_code or ref.iso_code or ref.currency_identifier).upper()[:3]
