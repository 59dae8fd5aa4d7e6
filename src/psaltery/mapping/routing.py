"""Which organisation a document belongs to: ordered rules, the first that matches. Pure."""

from collections.abc import Callable, Sequence

import msgspec

from psaltery.mapping.lookup import folded
from psaltery.records.psa import Document

FIELDS: dict[str, tuple[str, Callable[[Document], str]]] = {
    "location": ("Location", lambda document: document.location),
    "department": ("Department", lambda document: document.department),
    "territory": ("Territory", lambda document: document.territory),
    "company": ("Company", lambda document: document.company_name),
    "currency": ("Currency", lambda document: document.currency),
    "agreement_type": ("Agreement type", lambda document: document.agreement_type),
    "type": ("Invoice type", lambda document: document.type),
    "any": ("Everything", lambda document: ""),
}


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
        if rule.field == "any" or _matches(document, rule):
            return Routed(rule)
    return Routed(None)


def _matches(document: Document, rule: Rule) -> bool:
    field = FIELDS.get(rule.field)
    return field is not None and folded(field[1](document)) == folded(rule.value)
