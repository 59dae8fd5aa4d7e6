"""Refusals of the API, in the shape that ConnectWise gives its error bodies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One entry of the `errors` array: the vendor's code, sentence and field."""

    code: str
    message: str
    resource: str = ""
    field: str = ""

    def wire(self) -> dict[str, str]:
        """The entry as ConnectWise writes it."""
        return {
            "code": self.code,
            "message": self.message,
            "resource": self.resource,
            "field": self.field,
        }


@dataclass
class ApiError(Exception):
    """A request that is answered with an error status; nothing was changed."""

    status: int
    code: str
    message: str
    problems: tuple[Problem, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)

    def wire(self) -> dict[str, Any]:
        """The error body."""
        errors = [problem.wire() for problem in self.problems]
        return {"code": self.code, "message": self.message, "errors": errors or None}


def invalid(resource: str, problems: Iterable[Problem]) -> ApiError:
    """400 InvalidObject with one entry for each thing that is wrong."""
    return ApiError(400, "InvalidObject", f"{resource} object is invalid", tuple(problems))


def refused(resource: str, code: str, message: str, field_name: str = "") -> ApiError:
    """400 InvalidObject with a single entry."""
    return invalid(resource, [Problem(code, message, resource, field_name)])


def not_found(resource: str, record_id: object) -> ApiError:
    """404 for a record that does not exist."""
    return ApiError(404, "NotFound", f"{resource} {record_id} not found")


def bad_condition(message: str) -> ApiError:
    """400 for a `conditions`, `orderBy` or `fields` that cannot be understood."""
    return ApiError(400, "ApiFindCondition", message)
