"""Xero's envelopes and its dialects of failure, as JSON or XML.

https://developer.xero.com/documentation/api/accounting/responsecodes
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from werkzeug.wrappers import Request, Response

from psaltery.adapters.sandboxing import Document, decode, encode
from psaltery.adapters.xero.sandbox import dates, xml_wire
from psaltery.adapters.xero.sandbox.state import ZERO_GUID, new_id


class Refused(Exception):
    """An element that Xero would not take, with its own messages.

    `nested` holds messages that belong to a part of the element: `{"Contact": ["…"]}`.
    """

    def __init__(self, *messages: str, nested: dict[str, list[str]] | None = None) -> None:
        super().__init__("; ".join(messages))
        self.messages = list(messages)
        self.nested = nested or {}


class Failure(Exception):
    """The whole request ends with this answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


@dataclass
class Applied:
    """One element that was written, as it is shown, with what Xero wants to say about it."""

    document: Document
    warnings: list[str] = field(default_factory=list)


@dataclass
class Element:
    """One element of a request, and what became of it."""

    sent: Document
    applied: Applied | None = None
    refused: Refused | None = None


def wants_xml(request: Request) -> bool:
    """Xero answers XML unless JSON is asked for."""
    accept = request.headers.get("Accept", "")
    # Accept: */* counts as not saying.
    if "json" in accept:
        return False
    return "xml" in accept or not accept or accept == "*/*"


def body(request: Request, value: Document, status: int = 200) -> Response:
    """The value in the form that the request asks for."""
    if wants_xml(request):
        plain = decode(encode(value))
        return Response(xml_wire.write(plain), status, content_type="text/xml; charset=utf-8")
    return Response(encode(value), status, content_type="application/json; charset=utf-8")


def envelope(provider: str, now: datetime, **members: Any) -> Document:
    """What every successful answer is wrapped in."""
    return {
        "Id": new_id(),
        "Status": "OK",
        "ProviderName": provider,
        "DateTimeUTC": f"/Date({dates.milliseconds(now)})/",
        **members,
    }


def problem(status: int, title: str, detail: str, **headers: str) -> Response:
    """The gateway's own form of failure, before the Accounting API is reached."""
    value: Document = {
        "Type": None,
        "Title": title,
        "Status": status,
        "Detail": detail,
        "Instance": new_id(),
        "Extensions": {},
    }
    # Python's keyword arguments cannot hold the hyphens of header names.
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(encode(value), status, content_type="application/json", headers=named)


def token_expired(at: datetime) -> Response:
    """Worth one refresh; the date is in American order, as Xero writes it."""
    moment = at.strftime("%m/%d/%Y %H:%M:%S")
    return problem(401, "Unauthorized", f"TokenExpired: token expired at {moment}")


def unauthorised() -> Response:
    """No token, or one that was never issued or is revoked."""
    return problem(401, "Unauthorized", "AuthenticationUnsuccessful")


def scope_missing() -> Response:
    """Refreshing does not help; only a new consent does."""
    challenge = 'Bearer error="insufficient_scope"'
    return problem(401, "Unauthorized", "AuthorizationUnsuccessful", WWW_Authenticate=challenge)


def tenant_forbidden() -> Response:
    """The token is good, but not for this tenant."""
    return problem(403, "Forbidden", "AuthenticationUnsuccessful")


def not_found() -> Response:
    """Plain text, unlike every other failure."""
    text = "The resource you're looking for cannot be found"
    return Response(text, 404, mimetype="text/plain")


def exception(request: Request, number: int, kind: str, message: str) -> Response:
    """A 400 about the request as a whole, such as 16 QueryParseException."""
    value: Document = {"ErrorNumber": number, "Type": kind, "Message": message}
    return body(request, value, 400)


def invalid(request: Request, *messages: str, **identity: Any) -> Response:
    """A validation failure that no list of elements was the cause of."""
    element = {**identity, "ValidationErrors": _messages(messages)}
    return _summary(request, [element])


def _summary(request: Request, elements: Sequence[Document]) -> Response:
    value = {
        "ErrorNumber": 10,
        "Type": "ValidationException",
        "Message": "A validation exception occurred",
        "Elements": list(elements),
    }
    return body(request, value, 400)


def _messages(texts: Sequence[str]) -> list[Document]:
    return [{"Message": text} for text in texts]


def shown(element: Element, id_field: str, flag: str, in_full: bool) -> Document:
    """The element in an answer; `in_full` adds what `summarizeErrors=false` tells of each."""
    if element.applied:
        document = {**element.applied.document, flag: False}
        if in_full:
            warned = bool(element.applied.warnings)
            document["StatusAttributeString"] = "WARNING" if warned else "OK"
        if element.applied.warnings:
            document["Warnings"] = _messages(element.applied.warnings)
        return document
    return _refused_shown(element, id_field, flag, in_full)


def _refused_shown(element: Element, id_field: str, flag: str, in_full: bool) -> Document:
    refused = element.refused or Refused()
    document = {**_typed(element.sent), flag: True}
    # A failed update keeps its id, a failed creation has the zero id.
    document[id_field] = element.sent.get(id_field) or ZERO_GUID
    if in_full:
        document["StatusAttributeString"] = "ERROR"
    for part, texts in refused.nested.items():
        own = document.get(part) if isinstance(document.get(part), dict) else {}
        nested = {"HasValidationErrors": True, "ValidationErrors": _messages(texts)}
        document[part] = {**(own or {}), **nested}
    document["ValidationErrors"] = _messages(refused.messages)
    return document


def _typed(sent: Document) -> Document:
    """The element as sent, with dates in the form in which Xero says them."""
    shown_dates = {}
    for name in ("Date", "DueDate", "DeliveryDate", "ExpectedPaymentDate", "PlannedPaymentDate"):
        day = dates.day_of(sent[name]) if isinstance(sent.get(name), str) else None
        if day:
            shown_dates[name] = dates.wire_date(day)
    return {**sent, **shown_dates}


def elements_answer(
    request: Request, collection: str, id_field: str, elements: list[Element], wrap: Document
) -> Response:
    """The answer to a write. Without `summarizeErrors=false` one bad element hides the good.

    The good ones are written all the same; that is Xero's behaviour, not an oversight here.
    """
    # Older lists have their own name for the flag.
    flag = "HasErrors" if collection in ("Invoices", "CreditNotes") else "HasValidationErrors"
    summarise = request.args.get("summarizeErrors", "true").lower() != "false"
    bad = [element for element in elements if element.refused]
    if bad and summarise:
        # The ids of what was written are nowhere in this answer.
        return _summary(request, [shown(element, id_field, flag, False) for element in bad])
    items = [shown(element, id_field, flag, not summarise) for element in elements]
    # Small lists never had a flag.
    if collection in ("Accounts", "TaxRates", "TrackingCategories", "ContactGroups"):
        items = [{k: v for k, v in item.items() if k != flag} for item in items]
    return body(request, {**wrap, collection: items})


def posted(request: Request, collection: str) -> list[Document]:
    """The elements of a request: one bare object, a list, or a named list; JSON or XML."""
    try:
        value = _parsed(request)
    except (msgspec.DecodeError, ValueError) as error:
        raise Failure(_unreadable(request, str(error))) from error
    # A bare object, a list and a named list are all taken.
    if isinstance(value, dict) and isinstance(value.get(collection), list):
        value = value[collection]
    elements = value if isinstance(value, list) else [value]
    if not elements or not all(isinstance(element, dict) and element for element in elements):
        raise Failure(_unreadable(request, "no elements"))
    return elements


def _parsed(request: Request) -> Any:
    kind = request.headers.get("Content-Type", "")
    data = request.get_data()
    # Some clients send XML and say nothing; the first character tells.
    if "xml" in kind or (data.lstrip()[:1] == b"<"):
        return xml_wire.read(data)
    return decode(data)


def _unreadable(request: Request, why: str) -> Response:
    message = f"JSON for post data was invalid,{why}"
    return exception(request, 17, "PostDataInvalidException", message)
