"""Which mapping answers for a line: the visible fallback chain. Pure.

The most specific key wins. There is no silent default: the last step, `any`, exists only when a
person has entered it.
"""

from collections.abc import Iterable, Mapping

import msgspec

from psaltery.records.psa import PURCHASES, Document, DocumentKind, DocumentLine

# The kinds of key, most specific first, with the words that pages use for them.
ACCOUNT_KEYS = {
    "product": "Product",
    "category": "Product category",
    "work_type": "Work type",
    "work_role": "Work role",
    "expense_type": "Expense type",
    "agreement_type": "Agreement type",
    "source": "Kind of line",
    "any": "Everything else",
}
TAX_KEYS = {"tax_code": "Tax code", "exempt": "No tax"}
# Each that is mapped chooses an option; of two options of one category the first one's is taken.
TRACKING_KEYS = {
    "location": "Location",
    "department": "Department",
    "category": "Product category",
    "work_type": "Work type",
    "agreement_type": "Agreement type",
}
# A payment that was entered in the PSA: how it was paid, or who recorded it there.
PAYMENT_KEYS = {
    "payment_method": "Payment method",
    "payment_source": "Recorded by",
    "any": "Everything else",
}
PAYMENTS = "payment"
# What is bought goes to other accounts and rates than what is sold: lists of their own.
_PURCHASE = "purchase_"
PURCHASE_LISTS = (f"{_PURCHASE}account", f"{_PURCHASE}tax")
KEYS = {
    "account": ACCOUNT_KEYS,
    "tax": TAX_KEYS,
    "tracking": TRACKING_KEYS,
    "purchase_account": ACCOUNT_KEYS,
    "purchase_tax": TAX_KEYS,
    PAYMENTS: PAYMENT_KEYS,
}

# By what a line is: a product's agreement type says less of it than its category does.
_CHAINS = {
    "product": ("product", "category", "agreement_type", "source", "any"),
    "time": ("work_type", "work_role", "agreement_type", "source", "any"),
    "expense": ("expense_type", "source", "any"),
    "agreement": ("agreement_type", "source", "any"),
}
_OTHER = ("source", "any")


class Entry(msgspec.Struct, frozen=True):
    """One mapping as decisions see it."""

    id: int
    version: int
    target: str


class Key(msgspec.Struct, frozen=True):
    kind: str
    value: str


class Choice(msgspec.Struct, frozen=True):
    """What a chain came to: the entry (None: nothing answers) and the keys tried, in order."""

    entry: Entry | None
    key: Key | None
    tried: tuple[Key, ...]


class Mappings:
    """All mappings of one organisation, for reading."""

    def __init__(self, rows: Iterable[tuple[str, str, str, Entry]]) -> None:
        self._entries: Mapping[tuple[str, str, str], Entry] = {
            (list_, kind, folded(value)): entry for list_, kind, value, entry in rows
        }

    def first(self, list_: str, keys: Iterable[Key]) -> Choice:
        """The first key of the chain that has an entry."""
        tried: list[Key] = []
        for key in keys:
            tried.append(key)
            entry = self._entries.get((list_, key.kind, folded(key.value)))
            if entry is not None:
                return Choice(entry, key, tuple(tried))
        return Choice(None, None, tuple(tried))

    def uses(self, list_: str, kind: str) -> bool:
        """Whether anything at all is mapped by this kind of key."""
        return any(key[0] == list_ and key[1] == kind for key in self._entries)


def list_for(what: str, kind: DocumentKind) -> str:
    """The list that answers for the account or tax of a kind of document."""
    return f"{_PURCHASE}{what}" if kind in PURCHASES else what


def what_of(list_: str) -> str:
    """What a list maps to: account, tax, tracking or payment."""
    return list_.removeprefix(_PURCHASE)


def folded(value: str) -> str:
    """Keys are compared without case and outer blanks."""
    # People type keys into files and forms; the PSA itself is not consistent either.
    return value.strip().casefold()


def account_keys(line: DocumentLine, document: Document) -> list[Key]:
    """The chain for a line's account."""
    values = {
        "product": line.product,
        "category": line.category,
        "work_type": line.work_type,
        "work_role": line.work_role,
        "expense_type": line.expense_type,
        "agreement_type": line.agreement_type or document.agreement_type,
        "source": line.source,
    }
    # Empty keys are left out: they would all share one mapping that nobody has meant.
    chain = _CHAINS.get(line.source, _OTHER)
    return [Key(kind, values.get(kind, "")) for kind in chain if kind == "any" or values.get(kind)]


def tax_key(line: DocumentLine, document: Document) -> Key:
    """The key for a line's tax: its code, or that it bears none."""
    code = line.tax_code or document.tax_code
    # Two keys and no fallback: a rate by guess would be a wrong tax return.
    return Key("tax_code", code) if line.taxable and code else Key("exempt", "")


def tracking_keys(line: DocumentLine, document: Document) -> list[Key]:
    """One key for each thing that tracking can be chosen by."""
    return [
        Key("location", line.location or document.location),
        Key("department", line.department or document.department),
        Key("category", line.category),
        Key("work_type", line.work_type),
        Key("agreement_type", line.agreement_type or document.agreement_type),
    ]


def payment_keys(method: str, source: str) -> list[Key]:
    """The chain for the account that takes a payment."""
    chain = (("payment_method", method), ("payment_source", source))
    return [*(Key(kind, value) for kind, value in chain if value), Key("any", "")]
