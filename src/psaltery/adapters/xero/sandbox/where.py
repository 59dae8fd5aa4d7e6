"""The language of `where` and `order`: C#-like expressions over the documents' fields.

https://developer.xero.com/documentation/api/accounting/requests-and-responses
"""

from __future__ import annotations

import operator
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from psaltery.adapters.sandboxing import Document
from psaltery.adapters.xero.sandbox import dates

Test = Callable[[Document], Any]

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<number>-?\d+(?:\.\d+)?)"""
    r"""|(?P<word>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)"""
    r"""|(?P<sign>==|!=|<>|>=|<=|&&|\|\||[=<>!(),]))"""
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
# Allowed, and slow on large organisations.
_METHODS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda text, part: part in text,
    "startswith": str.startswith,
    "endswith": str.endswith,
}


class BadQuery(Exception):
    """The expression is not one; Xero's answer is a 400 QueryParseException."""


class Fields:
    """The fields of a resource, nested ones with a dot, and what type each has."""

    def __init__(self, **by_type: str) -> None:
        self.types: dict[str, str] = {}
        self.names: dict[str, tuple[str, ...]] = {}
        for kind, names in by_type.items():
            for name in names.split():
                self.types[name.lower()] = kind
                self.names[name.lower()] = tuple(name.split("."))

    def reader(self, name: str, owner: str) -> tuple[Test, str]:
        """How to read the field from a document, and its type. Raises `BadQuery`."""
        key = name.lower()
        if key not in self.types:
            raise BadQuery(f"No property or field '{name}' exists in type '{owner}'")
        path, kind = self.names[key], self.types[key]
        return (lambda document: _comparable(_walk(document, path), kind)), kind


def _walk(document: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        if not isinstance(document, dict):
            return None
        document = document.get(step)
    return document


def _comparable(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "date":
        return dates.from_wire(value)
    if kind == "number":
        return Decimal(value)
    return plain(value) if isinstance(value, str) else value


def plain(text: str) -> str:
    """Text as Xero's database compares it: without case and accents."""
    # Most text is plain ASCII; the rest loses its accents.
    spread = unicodedata.normalize("NFKD", text) if not text.isascii() else text
    return "".join(c for c in spread if not unicodedata.combining(c)).casefold()


def parse(text: str, fields: Fields, owner: str) -> Test:
    """A test of documents. Raises `BadQuery` with a message like Xero's."""
    parser = _Parser(tokens(text), fields, owner)
    test = parser.either()
    if parser.peek():
        raise BadQuery(f"Syntax error near '{parser.peek()}'")
    return test


def tokens(text: str) -> list[tuple[str, str]]:
    """Kind and text of each token. Raises `BadQuery`."""
    found: list[tuple[str, str]] = []
    # A pattern that skips nothing: what no token begins with is an error, with its place.
    position = 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match or match.lastgroup is None:
            raise BadQuery(f"Syntax error '{text[position]}' (at index {position})")
        found.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return found


class _Parser:
    """Recursive descent; `and` binds tighter than `or`."""

    def __init__(self, tokens: list[tuple[str, str]], fields: Fields, owner: str) -> None:
        self.tokens = tokens
        self.fields = fields
        self.owner = owner
        self.at = 0

    def peek(self) -> str:
        """The text of the next token, empty at the end."""
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def take(self) -> tuple[str, str]:
        """The next token, which must be there."""
        if self.at >= len(self.tokens):
            raise BadQuery("Expression expected")
        self.at += 1
        return self.tokens[self.at - 1]

    def accept(self, *words: str) -> bool:
        """Takes the next token if it is one of the words; a string that reads alike is none."""
        if self.peek().lower() in words and self.tokens[self.at][0] != "string":
            self.at += 1
            return True
        return False

    def expect(self, sign: str) -> None:
        """Takes the sign, which must be next."""
        if not self.accept(sign):
            raise BadQuery(f"'{sign}' expected")

    def either(self) -> Test:
        """`a OR b OR …`."""
        tests = [self.both()]
        while self.accept("or", "||"):
            tests.append(self.both())
        return tests[0] if len(tests) == 1 else lambda d: any(test(d) for test in tests)

    def both(self) -> Test:
        """`a AND b AND …`."""
        tests = [self.single()]
        while self.accept("and", "&&"):
            tests.append(self.single())
        return tests[0] if len(tests) == 1 else lambda d: all(test(d) for test in tests)

    def single(self) -> Test:
        """A comparison, or something negated or in brackets."""
        if self.accept("!", "not"):
            test = self.single()
            return lambda d: not test(d)
        if self.accept("("):
            inner = self.either()
            self.expect(")")
            return inner
        return self.comparison()

    def comparison(self) -> Test:
        """`a == b`, or a yes-or-no value by itself."""
        left, kind = self.operand()
        if self.peek() not in _COMPARE:
            if kind != "flag":
                raise BadQuery("Expression of type 'Boolean' expected")
            return left
        sign = self.take()[1]
        right, other = self.operand()
        return _compared(sign, (left, kind), (right, other))

    def operand(self) -> tuple[Test, str]:
        """How to get the value from a document, and its type."""
        kind, text = self.take()
        if kind == "string":
            value = plain(text[1:-1].replace('\\"', '"'))
            return (lambda _: value), "text"
        if kind == "number":
            number = Decimal(text)
            return (lambda _: number), "number"
        if kind != "word":
            raise BadQuery("Expression expected")
        return self.word(text)

    def word(self, text: str) -> tuple[Test, str]:
        """A keyword, a value made by `DateTime(…)` or `guid(…)`, a method call, or a field."""
        lowered = text.lower()
        if lowered in ("true", "false"):
            return (lambda _: lowered == "true"), "flag"
        # null fits every type.
        if lowered == "null":
            return (lambda _: None), "null"
        # Values are made as in C#.
        if lowered in ("datetime", "datetime.parse", "guid", "guid.parse"):
            return self.made(lowered)
        name, _, method = text.rpartition(".")
        if method.lower() in (*_METHODS, "tolower", "toupper", "tostring", "value", "hasvalue"):
            return self.method(name, method.lower())
        return self.fields.reader(text, self.owner)

    def made(self, name: str) -> tuple[Test, str]:
        """`DateTime(2026,10,02)`, `DateTime.Parse("…")` or `guid("…")`."""
        arguments = self.arguments()
        if name.startswith("guid") or name.endswith("parse"):
            if len(arguments) != 1:
                raise BadQuery(f"No applicable method '{name}' exists")
            text = arguments[0][1:-1]
            moment = dates.modified_since(text) if name.startswith("datetime") else None
            return (lambda _: moment or plain(text)), "date" if moment else "text"
        try:
            moment = datetime(*[int(a) for a in arguments], tzinfo=UTC)  # type: ignore[arg-type,misc]
        except (TypeError, ValueError) as error:
            raise BadQuery(
                f"No applicable constructor exists in type 'DateTime': {error}"
            ) from error
        return (lambda _: moment), "date"

    def arguments(self) -> list[str]:
        """The texts between brackets."""
        self.expect("(")
        found: list[str] = []
        while not self.accept(")"):
            found.append(self.take()[1])
            if self.peek() != ")":
                self.expect(",")
        return found

    def method(self, name: str, method: str) -> tuple[Test, str]:
        """`Name.Contains("x")` and its like."""
        if "." in name and name.rpartition(".")[2].lower() in ("tolower", "toupper"):
            name = name.rpartition(".")[0]
        read, kind = self.fields.reader(name, self.owner)
        if method == "value":
            return read, kind
        if method == "hasvalue":
            return (lambda d: read(d) is not None), "flag"
        arguments = self.arguments()
        if method not in _METHODS:
            # ToLower and the like: comparison ignores case anyway.
            return read, kind
        if len(arguments) != 1:
            raise BadQuery(f"No applicable method '{method}' exists in type 'String'")
        part, test = plain(arguments[0][1:-1]), _METHODS[method]
        return (lambda d: (value := read(d)) is not None and test(value, part)), "flag"


def _compared(sign: str, left: tuple[Test, str], right: tuple[Test, str]) -> Test:
    (read, kind), (value, other) = left, right
    if kind != other and "null" not in (kind, other):
        raise BadQuery(f"Operator '{sign}' incompatible with operand types '{kind}' and '{other}'")
    compare = _COMPARE[sign]
    if compare in (operator.eq, operator.ne):
        # Only equality may meet a missing value; ranges leave such documents out.
        return lambda d: compare(read(d), value(d))
    return lambda d: (a := read(d)) is not None and (b := value(d)) is not None and compare(a, b)


def parse_order(text: str, fields: Fields, owner: str) -> list[tuple[Test, bool]]:
    """`Date DESC, InvoiceID` as (reader, descending) pairs. Raises `BadQuery`."""
    found = []
    for part in text.split(","):
        name, _, direction = part.strip().partition(" ")
        if direction.strip().upper() not in ("", "ASC", "DESC", "ASCENDING", "DESCENDING"):
            raise BadQuery(f"Syntax error near '{direction}'")
        read, _ = fields.reader(name, owner)
        found.append((read, direction.strip().upper().startswith("DESC")))
    return found
