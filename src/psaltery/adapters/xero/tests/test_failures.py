"""Answers that are no success become the right one of the four failures."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from psaltery.adapters.errors import NeedsReconnect, Rejected, TryLater
from psaltery.adapters.http import Caller
from psaltery.adapters.xero.books import XeroBooks, XeroConsent
from psaltery.kit.clock import now
from psaltery.records.drafts import Action, BooksKind, ContactDraft

ORGANISATION = "/api.xro/2.0/Organisation"
CONTACTS = "/api.xro/2.0/Contacts"


def _problem(detail: str, status: int) -> dict[str, Any]:
    return {"Type": None, "Title": "Unauthorized", "Status": status, "Detail": detail}


def _answer(server: HTTPServer, path: str, body: Any, status: int, **headers: str) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    server.expect_request(path).respond_with_data(text, status=status, headers=headers)


def _send(books: XeroBooks, *names: str) -> Any:
    sent = [books.prepare(Action.CREATE, ContactDraft(name=name)) for name in names]
    return books.send(sent, "key-1")


@pytest.mark.parametrize(
    ("status", "detail", "headers", "code"),
    [
        (
            401,
            "AuthorizationUnsuccessful",
            {"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
            "scope_missing",
        ),
        (401, "AuthorizationUnsuccessful", {}, "scope_missing"),
        (403, "AuthenticationUnsuccessful", {}, "tenant_removed"),
        (401, "AuthenticationUnsuccessful", {}, "tenant_removed"),
        (401, "TokenExpired: token expired at 10/02/2026 03:44:05", {}, "token_revoked"),
    ],
)
def test_refused_access(
    books: XeroBooks,
    httpserver: HTTPServer,
    status: int,
    detail: str,
    headers: dict[str, str],
    code: str,
) -> None:
    _answer(httpserver, ORGANISATION, _problem(detail, status), status, **headers)
    with pytest.raises(NeedsReconnect) as failure:
        books.organisation()
    assert failure.value.code == code


def test_a_user_without_the_right_is_no_dead_connection(
    books: XeroBooks, httpserver: HTTPServer
) -> None:
    _answer(httpserver, ORGANISATION, _problem("Forbidden by role", 403), 403)
    with pytest.raises(Rejected) as failure:
        books.organisation()
    assert failure.value.problems[0].code == "permission_denied"
    assert "Forbidden by role" in str(failure.value)


@pytest.mark.parametrize(
    "text", ["The Organisation is offline", "The Xero API is currently offline for maintenance"]
)
def test_offline_is_waited_for_and_nothing_was_carried_out(
    books: XeroBooks, httpserver: HTTPServer, text: str
) -> None:
    _answer(httpserver, CONTACTS, text, 503)
    with pytest.raises(TryLater) as failure:
        _send(books, "A")
    assert failure.value.uncertain is False
    assert failure.value.at is not None
    assert failure.value.at > now() + timedelta(minutes=4)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("The Xero API is temporarily unavailable", 503),
        ("<html><body>Bad gateway</body></html>", 502),
        ("", 500),
        ("<html><body>Service notice</body></html>", 200),
        ('{"Contacts":[{"Conta', 200),
        ("<!DOCTYPE html><title>Blocked</title>", 403),
        ('{"Status":"OK"}', 200),
    ],
)
def test_a_write_without_a_verdict_is_uncertain(
    books: XeroBooks, httpserver: HTTPServer, body: str, status: int
) -> None:
    _answer(httpserver, CONTACTS, body, status)
    with pytest.raises(TryLater) as failure:
        _send(books, "A")
    assert failure.value.uncertain is True
    assert len(httpserver.log) == 1


def test_too_costly_a_query_names_its_code(books: XeroBooks, httpserver: HTTPServer) -> None:
    body = {"ErrorNumber": 51, "Type": "HighVolumeException", "Message": "Too many documents"}
    _answer(httpserver, "/api.xro/2.0/Invoices", body, 400)
    with pytest.raises(Rejected) as failure:
        books.pull("invoices", None)
    assert failure.value.problems[0].code == "high_volume"


def test_a_bad_body_is_rejected_with_xeros_sentence(
    books: XeroBooks, httpserver: HTTPServer
) -> None:
    body = {"ErrorNumber": 17, "Type": "PostDataInvalidException", "Message": "Bad JSON at 12"}
    _answer(httpserver, CONTACTS, body, 400)
    with pytest.raises(Rejected, match="Bad JSON at 12") as failure:
        _send(books, "A")
    assert failure.value.problems[0].code == "rejected"


def test_the_same_key_for_another_body_is_told(books: XeroBooks, httpserver: HTTPServer) -> None:
    body = {"Message": "Idempotency Key: key-1 is used with a different request."}
    _answer(httpserver, CONTACTS, body, 400)
    with pytest.raises(Rejected) as failure:
        _send(books, "A")
    assert failure.value.problems[0].code == "idempotency_conflict"


def test_a_whole_refusal_that_names_every_element_gives_outcomes(
    books: XeroBooks, httpserver: HTTPServer
) -> None:
    refused = {"ContactID": "", "Name": "B", "ValidationErrors": [{"Message": "No such thing"}]}
    taken = {"Name": "A", "ValidationErrors": [{"Message": "Email address must be valid."}]}
    body = {"ErrorNumber": 10, "Type": "ValidationException", "Elements": [refused, taken]}
    _answer(httpserver, CONTACTS, body, 400)
    first, second = _send(books, "A", "B")
    assert (first.accepted, first.problems[0].code) == (False, "email_invalid")
    assert (second.accepted, second.problems[0].code) == (False, "rejected")


def test_elements_missing_from_a_refusal_may_have_been_saved(
    books: XeroBooks, httpserver: HTTPServer
) -> None:
    refused = {"Name": "B", "ValidationErrors": [{"Message": "No such thing"}]}
    _answer(httpserver, CONTACTS, {"ErrorNumber": 10, "Elements": [refused]}, 400)
    with pytest.raises(TryLater) as failure:
        _send(books, "A", "B")
    assert failure.value.uncertain is True


def test_not_found_is_none(books: XeroBooks, httpserver: HTTPServer) -> None:
    for path in ("Contacts/x", "Invoices/x", "CreditNotes/x"):
        _answer(httpserver, f"/api.xro/2.0/{path}", "The resource cannot be found", 404)
    assert books.get_contact("x") is None
    assert books.get_document(BooksKind.INVOICE, "x") is None
    assert books.get_document(BooksKind.CREDIT_NOTE, "x") is None


def test_another_shape_is_rejected_with_the_place(books: XeroBooks, httpserver: HTTPServer) -> None:
    _answer(httpserver, ORGANISATION, {"Organisations": "none"}, 200)
    with pytest.raises(Rejected, match="Organisations") as failure:
        books.organisation()
    assert failure.value.problems[0].code == "answer_unknown_shape"


def test_a_record_without_its_id_is_not_passed_over(
    books: XeroBooks, httpserver: HTTPServer
) -> None:
    body = {"DateTimeUTC": "/Date(1790910845123)/", "Invoices": [{"InvoiceNumber": "MSP-7"}]}
    _answer(httpserver, "/api.xro/2.0/Invoices", body, 200)
    with pytest.raises(Rejected, match="MSP-7"):
        books.pull("invoices", None)


def test_a_custom_connection_that_lists_nothing_is_asked_for_its_organisation(
    httpserver: HTTPServer, caller_of: Callable[[str], Caller]
) -> None:
    _answer(httpserver, "/connections", [], 200)
    only = {"OrganisationID": "o", "Name": "N"}
    _answer(httpserver, ORGANISATION, {"Organisations": [only]}, 200)
    consent = XeroConsent(caller_of(httpserver.url_for("")))
    (tenant,) = consent.tenants()
    assert (tenant.external_id, tenant.name, tenant.connection_id) == ("o", "N", "")
    assert consent.tenants("this-consent") == ()


def test_an_organisation_without_a_name_is_listed_by_its_id(
    httpserver: HTTPServer, caller_of: Callable[[str], Caller]
) -> None:
    link = {"id": "l", "tenantId": "t", "tenantType": "ORGANISATION", "tenantName": None}
    _answer(httpserver, "/connections", [link], 200)
    (tenant,) = XeroConsent(caller_of(httpserver.url_for(""))).tenants()
    assert (tenant.external_id, tenant.name) == ("t", "t")
