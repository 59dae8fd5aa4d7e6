"""What a client sends: checked against the model, references made whole, patches applied."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from psaltery.adapters.connectwise.sandbox import references
from psaltery.adapters.connectwise.sandbox.errors import ApiError, Problem, invalid
from psaltery.adapters.connectwise.sandbox.fields import Field, Model, models
from psaltery.adapters.connectwise.sandbox.world import World
from psaltery.adapters.sandboxing import Document

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "int": (int,),
    "number": (int, Decimal),
    "bool": (bool,),
    "datetime": (str,),
}
READ_ONLY = ("id", "_info")


def checked(
    world: World, model_name: str, label: str, body: Any, *, partial: bool = False
) -> Document:
    """The fields of a body that the model has, with whole references.

    A partial body may leave out what is required, not empty it.
    Raises `ApiError` 400 InvalidObject naming every field that is missing, too long, of the wrong
    type or leads nowhere.
    """
    if not isinstance(body, dict):
        raise ApiError(400, "InvalidObject", f"{label} object is invalid")
    model = models()[model_name]
    # Fields that no model knows are ignored, as the API does with JSON from newer clients.
    given = {key: body[key] for key in body if key in model and key not in READ_ONLY}
    problems = list(_problems(model, label, given, partial=partial))
    whole: Document = {}
    for name, value in given.items():
        whole[name] = _whole(world, model[name], value)
        if whole[name] is None and value not in (None, {}):
            message = f"{name} does not lead to a record."
            problems.append(Problem("InvalidReference", message, label, name))
    if problems:
        raise invalid(label, problems)
    return whole


def _problems(model: Model, label: str, given: Document, *, partial: bool) -> Iterator[Problem]:
    for name, field in model.items():
        value = given.get(name)
        if value is None or value == "":
            if field.required and (name in given or not partial):
                message = f"The {name} field is required."
                yield Problem("MissingRequiredField", message, label, name)
        elif message := _fault(name, field, value):
            yield Problem("InvalidField", message, label, name)


def _fault(name: str, field: Field, value: Any) -> str:
    if field.array:
        return "" if isinstance(value, list) else f"{name} must be a list."
    # In Python a bool is an int; in JSON it is not.
    kinds = _TYPES.get(field.kind, (dict,) if field.kind.endswith("Reference") else ())
    if kinds and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
        return f"{name} is not of type {field.kind}."
    if field.longest and len(value) > field.longest:
        return f"{name} is longer than {field.longest} characters."
    if field.choices and value not in field.choices:
        return f"{name} must be one of {', '.join(field.choices)}."
    return ""


def _whole(world: World, field: Field, value: Any) -> Any:
    if not field.kind.endswith("Reference") or value is None:
        return value
    if not field.array:
        return references.resolve(world, field.kind, value) if value else None
    return [references.resolve(world, field.kind, row) or row for row in value]


def patched(document: Document, operations: Any, label: str) -> Document:
    """A document after a list of `{"op", "path", "value"}`.

    A path into a reference (`status/id`) is accepted and does nothing, as ConnectWise has it:
    references are replaced whole. Raises `ApiError` 400 for what is no such list.
    """
    if not isinstance(operations, list):
        raise ApiError(400, "InvalidObject", "A PATCH needs a list of operations.")
    changed = dict(document)
    for operation in operations:
        op, path = _operation(operation, label)
        # 200 without effect: a client that patches `status/id` must notice by reading.
        if "/" in path:
            continue
        changed[path] = None if op == "remove" else operation.get("value")
    return changed


def _operation(operation: Any, label: str) -> tuple[str, str]:
    if not isinstance(operation, dict) or operation.get("op") not in ("add", "replace", "remove"):
        raise invalid(label, [Problem("InvalidPatch", "op must be add, replace or remove.")])
    path = operation.get("path")
    if not isinstance(path, str) or not path.strip("/"):
        raise invalid(label, [Problem("InvalidPatch", "path must name a field.")])
    return operation["op"], path.removeprefix("/")
