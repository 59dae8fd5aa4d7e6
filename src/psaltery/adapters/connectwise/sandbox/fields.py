"""What fields the records have, from the vendor's published model (`models.json`).

The tables are facts of the OpenAPI document, in a short notation: `string max50`,
`string REQUIRED enum(A|B)`, `CompanyReference`, `CustomFieldValue[]`.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from importlib import resources
from typing import Any

METADATA = ("lastUpdated", "updatedBy", "dateEntered", "enteredBy")


@dataclass(frozen=True)
class Field:
    """One field of a record: its type, and what a write has to obey."""

    kind: str
    array: bool = False
    required: bool = False
    longest: int | None = None
    choices: tuple[str, ...] = ()


Model = dict[str, Field]


@functools.cache
def models() -> dict[str, Model]:
    """Every model of the sandbox by its name."""
    text = resources.files(__package__).joinpath("models.json").read_text("utf-8")
    return {
        name: {key: _field(notation) for key, notation in notations.items()}
        for name, notations in json.loads(text).items()
    }


def _field(notation: str) -> Field:
    kind = notation.split(maxsplit=1)[0]
    longest = re.search(r"\bmax(\d+)", notation)
    choices = re.search(r"enum\(([^)]*)\)", notation)
    return Field(
        kind=kind.removesuffix("[]"),
        array=kind.endswith("[]"),
        required="REQUIRED" in notation,
        longest=int(longest[1]) if longest else None,
        choices=tuple(choices[1].split("|")) if choices else (),
    )


def find(model: Model, path: str) -> Field | None:
    """The field that a slash path leads to; None when there is none.

    A path goes into references and `_info`, never into an array: those are for `childConditions`.
    """
    head, _, rest = path.partition("/")
    if head == "_info":
        return _metadata(rest)
    if path == "lastUpdated":
        # The documented conditions name it bare, although records carry it in _info only.
        return Field("datetime")
    known = model.get(head)
    if known is None or not rest:
        return known
    inner = models().get(known.kind)
    return None if known.array or inner is None else find(inner, rest)


def _metadata(key: str) -> Field | None:
    if key not in METADATA:
        return None
    return Field("datetime" if key in ("lastUpdated", "dateEntered") else "string")


def read(document: dict[str, Any], path: str) -> Any:
    """The value at a slash path; None when anything on the way is missing."""
    value: Any = document
    for part in ("_info/lastUpdated" if path == "lastUpdated" else path).split("/"):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value
