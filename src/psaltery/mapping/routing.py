"""Which organisation a document belongs to: ordered rules, the first that matches. Pure."""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from psaltery.mapping.lookup import folded
from psaltery.records.psa import Document

Values = Callable[[Document], Iterable[str]]


def _custom(document: Document) -> list[str]:
    return [custom_value(caption, value) for caption, value in document.custom.items()]


def custom_value(caption: str, value: str) -> str:
    """A field that the tenant has made, with its value, as rules name it."""
    return f"{caption}: {value}"


# What a rule may go by. A document may have several values of the last ones: a rule takes it where
# one of them is the rule's.
FIELDS: dict[str, tuple[str, Values]] = {
    "location": ("Location", lambda document: (document.location,)),
    "department": ("Department", lambda document: (document.department,)),
    "territory": ("Territory", lambda document: (document.territory,)),
    "company": ("Company", lambda document: (document.company_name,)),
    "currency": ("Currency", lambda document: (document.currency,)),
    "agreement_type": ("Agreement type", lambda document: (document.agreement_type,)),
    "type": ("Invoice type", lambda document: (document.type,)),
    "member": ("Staff member", lambda document: [line.member for line in document.lines]),
    "board": ("Board", lambda document: (document.board,)),
    "tag": ("Tag of the company", lambda document: document.tags),
    "custom_field": ("Custom field", _custom),
    "any": ("Everything", lambda document: ()),
}
# What the document itself does not say, or not in one column.
BEYOND = ("member", "board", "tag", "custom_field")


class Rule(msgspec.Struct, frozen=True):
    id: int
    field: str
    value: str
    organisation: int


class Routed(msgspec.Struct, frozen=True):
    """The rule that fired, None when none did."""

    rule: Rule | None


def route(document: Document, rules: Sequence[Rule]) -> Routed:
    """The first rule that matches; there is no silent default."""
    for rule in rules:
        # The order is the person's: a rule for one customer may stand before that of its location.
        if rule.field == "any" or _matches(document, rule):
            return Routed(rule)
    return Routed(None)


def _matches(document: Document, rule: Rule) -> bool:
    field = FIELDS.get(rule.field)
    # A rule without a value would take all documents that lack one.
    if field is None or not rule.value:
        return False
    return folded(rule.value) in {folded(value) for value in field[1](document)}


def needs_more(rules: Iterable[Rule]) -> bool:
    """Whether a rule goes by what has to be looked up beside the document."""
    return any(rule.field in BEYOND for rule in rules)
