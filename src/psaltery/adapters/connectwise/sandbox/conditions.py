"""The query language of `conditions=`: parsed once, then a predicate over wire documents.

Grammar (what ConnectWise documents, and what its clients use):

    expression := term ("OR" term)*         term := factor ("AND" factor)*
    factor     := "(" expression ")" | path operator value
    operator   := = != < <= > >= | ["not"] ("contains" | "like" | "in")
    value      := "text" | 'text' | 12 | 1.5 | True | False | null | [2024-01-31T10:00:00Z]
                | "(" value ("," value)* ")"
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from psaltery.adapters.connectwise.sandbox.errors import bad_condition
from psaltery.adapters.connectwise.sandbox.fields import Field, read

Document = dict[str, Any]
Predicate = Callable[[Document], bool]
Lookup = Callable[[str], Field | None]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>"(?:\\"|[^"])*"|'(?:\\'|[^'])*')
    | (?P<date>\[[^\]]*\])
    | (?P<number>-?\d+(?:\.\d+)?)
    | (?P<operator>!=|<=|>=|=|<|>)
    | (?P<punctuation>[(),])
    | (?P<word>[A-Za-z_][A-Za-z0-9_/]*)
    )""",
    re.VERBOSE,
)
# Words, not names of fields, wherever a value is due; case does not matter.
_CONSTANTS = {"true": True, "false": False, "null": None}
_NUMBERS = ("int", "number")


@dataclass(frozen=True)
class Dialect:
    """Answers that sources disagree about, so that a client can be tried with either."""

    date_only: bool = False
    wildcards: str = "%*"


@dataclass(frozen=True)
class Condition:
    """A parsed expression: call it with a document.

    `pins`: the only numbers that a path may have where the whole is to hold, e.g. from
    `invoice/id in (1,2)`. They let a list look rows up instead of trying every one.
    """

    holds: Predicate
    pins: Mapping[str, frozenset[Decimal]] = field(default_factory=dict)

    def __call__(self, document: Document) -> bool:
        return self.holds(document)


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str


def parse(text: str, lookup: Lookup, dialect: Dialect | None = None) -> Condition:
    """The predicate that a conditions expression stands for; `lookup` knows the fields.

    Raises `ApiError` 400 ApiFindCondition for an unknown field, or when it does not parse.
    """
    if not text.strip():
        return Condition(lambda document: True)
    parser = _Parser(_tokens(text), lookup, dialect or Dialect())
    condition = parser.expression()
    parser.expect_end()
    return condition


def _tokens(text: str) -> list[_Token]:
    found, position, end = [], 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise bad_condition(
                f"String was not recognized near '{text[position : position + 20]}'."
            )
        kind = match.lastgroup or ""
        found.append(_Token(kind, match[kind]))
        position = match.end()
    return found


class _Parser:
    def __init__(self, tokens: list[_Token], lookup: Lookup, dialect: Dialect) -> None:
        self._tokens = tokens
        self._position = 0
        self._lookup = lookup
        self._dialect = dialect

    def expression(self) -> Condition:
        alternatives = [self._term()]
        while self._word("or"):
            alternatives.append(self._term())
        if len(alternatives) == 1:
            return alternatives[0]
        return Condition(lambda document: any(holds(document) for holds in alternatives))

    def expect_end(self) -> None:
        if self._position < len(self._tokens):
            raise bad_condition(f"Unexpected '{self._tokens[self._position].text}' in conditions.")

    def _term(self) -> Condition:
        factors = [self._factor()]
        while self._word("and"):
            factors.append(self._factor())
        if len(factors) == 1:
            return factors[0]
        # Each of the factors must hold, so that any pin of one is good for the whole.
        pins: dict[str, frozenset[Decimal]] = {}
        for factor in factors:
            pins.update(factor.pins)
        return Condition(lambda document: all(holds(document) for holds in factors), pins)

    def _factor(self) -> Condition:
        if self._punctuation("("):
            inner = self.expression()
            self._require(")")
            return inner
        token = self._next()
        if token.kind != "word":
            raise bad_condition(f"A field name was expected, not '{token.text}'.")
        field = self._lookup(token.text)
        # Rows of arrays are asked for by childConditions, never here.
        if field is None or field.array:
            raise bad_condition(f"{token.text} is not a recognized name.")
        return self._comparison(token.text, field)

    def _comparison(self, path: str, field: Field) -> Condition:
        negated = self._word("not")
        token = self._next()
        name = token.text.lower()
        wanted: list[Any] = []
        if name == "in":
            wanted = self._list(field)
            test = _is_one_of(wanted)
        elif name in ("contains", "like"):
            test = self._text_test(name)
        elif token.kind == "operator" and not negated:
            value = self._value(field)
            wanted = [value] if name == "=" else []
            test = _compare(name, value)
        else:
            raise bad_condition(f"'{token.text}' is not an operator.")
        # What something is not tells nothing of what it is: no pins.
        if negated:
            return Condition(lambda document: not test(read(document, path)))
        return Condition(lambda document: test(read(document, path)), _pins(path, wanted))

    def _text_test(self, name: str) -> Callable[[Any], bool]:
        wanted = self._value(Field("string"))
        if not isinstance(wanted, str):
            raise bad_condition(f"'{name}' needs a string.")
        return _contains(wanted) if name == "contains" else _like(wanted, self._dialect.wildcards)

    def _list(self, field: Field) -> list[Any]:
        self._require("(")
        values = [self._value(field)]
        while self._punctuation(","):
            values.append(self._value(field))
        self._require(")")
        return values

    def _value(self, field: Field) -> Any:
        token = self._next()
        if token.kind == "word":
            if token.text.lower() not in _CONSTANTS:
                raise bad_condition(f"{token.text} is not a recognized value.")
            return _CONSTANTS[token.text.lower()]
        value = self._literal(token)
        _check_type(field, token, value)
        return value

    def _literal(self, token: _Token) -> Any:
        if token.kind == "text":
            # A literal bracket is written [[] because SQL's LIKE gives [ a meaning.
            return re.sub(r"\\([\"'])", r"\1", token.text[1:-1]).replace("[[]", "[")
        if token.kind == "number":
            return Decimal(token.text)
        if token.kind == "date":
            return _instant(token.text[1:-1].strip(), self._dialect)
        raise bad_condition(f"A value was expected, not '{token.text}'.")

    def _next(self) -> _Token:
        if self._position >= len(self._tokens):
            raise bad_condition("The conditions end too early.")
        self._position += 1
        return self._tokens[self._position - 1]

    def _accept(self, kind: str, text: str) -> bool:
        if self._position >= len(self._tokens):
            return False
        token = self._tokens[self._position]
        if token.kind != kind or token.text.lower() != text:
            return False
        self._position += 1
        return True

    def _word(self, text: str) -> bool:
        return self._accept("word", text)

    def _punctuation(self, text: str) -> bool:
        return self._accept("punctuation", text)

    def _require(self, text: str) -> None:
        if not self._punctuation(text):
            raise bad_condition(f"'{text}' was expected in conditions.")


def _pins(path: str, wanted: list[Any]) -> dict[str, frozenset[Decimal]]:
    if wanted and all(isinstance(value, Decimal) for value in wanted):
        return {path: frozenset(wanted)}
    return {}


def _check_type(field: Field, token: _Token, value: Any) -> None:
    if field.choices and isinstance(value, str):
        if value.lower() not in (choice.lower() for choice in field.choices):
            raise bad_condition("Enum value supplied was invalid")
    elif field.kind in _NUMBERS and token.kind != "number":
        raise bad_condition(f"'{token.text}' is not a number.")
    elif field.kind == "datetime" and token.kind != "date":
        raise bad_condition(f"{token.text} is not a date; dates stand in square brackets.")


def _instant(text: str, dialect: Dialect) -> str:
    if dialect.date_only and len(text) > len("2024-01-31"):
        raise bad_condition(f"String '{text}' was not recognized as a valid DateTime.")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"String '{text}' was not recognized as a valid DateTime."
        raise bad_condition(message) from error
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _fold(value: Any) -> Any:
    # The database behind the API compares text without regard to case.
    return value.lower() if isinstance(value, str) else value


def _compare(operator: str, wanted: Any) -> Callable[[Any], bool]:
    wanted = _fold(wanted)
    if operator == "=":
        return lambda value: bool(_fold(value) == wanted)
    if operator == "!=":
        return lambda value: bool(_fold(value) != wanted)
    return lambda value: _ordered(operator, _fold(value), wanted)


def _ordered(operator: str, value: Any, wanted: Any) -> bool:
    # As in SQL, nothing is neither less nor more than anything.
    if value is None or wanted is None or isinstance(value, str) != isinstance(wanted, str):
        return False
    if operator == "<":
        return bool(value < wanted)
    if operator == "<=":
        return bool(value <= wanted)
    return bool(value > wanted) if operator == ">" else bool(value >= wanted)


def _is_one_of(wanted: list[Any]) -> Callable[[Any], bool]:
    values = {_fold(value) for value in wanted}
    return lambda value: _fold(value) in values


def _contains(wanted: str) -> Callable[[Any], bool]:
    needle = wanted.lower()
    return lambda value: isinstance(value, str) and needle in value.lower()


def _like(wanted: str, wildcards: str) -> Callable[[Any], bool]:
    parts = (".*" if letter in wildcards else re.escape(letter) for letter in wanted)
    pattern = re.compile("".join(parts), re.IGNORECASE | re.DOTALL)
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None
