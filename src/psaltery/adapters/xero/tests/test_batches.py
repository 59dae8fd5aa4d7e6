"""What Xero says of each element of a batch, whatever order and place it says it in."""

import json
from decimal import Decimal
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from psaltery.adapters.contract import Prepared
from psaltery.adapters.errors import TryLater
from psaltery.adapters.xero.books import XeroBooks
from psaltery.records.books import Status
from psaltery.records.drafts import Action, Outcome

PATH = "/api.xro/2.0/Invoices"
ZERO = "00000000-0000-0000-0000-000000000000"


def _prepared(*numbers: str, action: Action = Action.CREATE) -> list[Prepared]:
    return [
        Prepared(kind="invoice", action=action, body=json.dumps({"InvoiceNumber": number}))
        for number in numbers
    ]


def _saved(number: str, **more: Any) -> dict[str, Any]:
    return {
        "InvoiceID": f"id-{number}",
        "InvoiceNumber": number,
        "Status": "AUTHORISED",
        "Total": 230.10,
        "HasErrors": False,
        "StatusAttributeString": "OK",
        **more,
    }


def _refused(number: str, message: str) -> dict[str, Any]:
    return {
        "InvoiceID": ZERO,
        "InvoiceNumber": number,
        "HasErrors": True,
        "StatusAttributeString": "ERROR",
        "ValidationErrors": [{"Message": message}],
    }


def _outcomes(
    books: XeroBooks, server: HTTPServer, sent: list[Prepared], *answered: dict[str, Any]
) -> tuple[Outcome, ...]:
    server.expect_request(PATH).respond_with_json({"Status": "OK", "Invoices": list(answered)})
    return books.send(sent, "batch-1")


def test_good_bad_and_warned_in_one_batch(books: XeroBooks, httpserver: HTTPServer) -> None:
    warned = _saved("3", StatusAttributeString="WARNING", Warnings=[{"Message": "Odd rate"}])
    good, bad, odd = _outcomes(
        books,
        httpserver,
        _prepared("1", "2", "3"),
        _saved("1"),
        _refused("2", "Invoice # must be unique."),
        warned,
    )
    assert (good.accepted, good.external_id, good.total) == (True, "id-1", Decimal("230.10"))
    assert (good.status, good.problems, good.warnings) == (Status.AUTHORISED, (), ())
    assert (bad.accepted, bad.external_id, bad.problems[0].code) == (False, "", "number_taken")
    assert (odd.accepted, odd.warnings) == (True, ("Odd rate",))


def test_the_request_is_as_xero_wants_it(books: XeroBooks, httpserver: HTTPServer) -> None:
    _outcomes(books, httpserver, _prepared("1"), _saved("1"))
    request, _ = httpserver.log[0]
    assert request.method == "PUT"
    assert dict(request.args) == {"summarizeErrors": "false", "unitdp": "4"}
    assert request.headers["Idempotency-Key"] == "batch-1"
    assert request.headers["Xero-Tenant-Id"] == "tenant-1"
    assert request.json == {"Invoices": [{"InvoiceNumber": "1"}]}


def test_updates_are_posted(books: XeroBooks, httpserver: HTTPServer) -> None:
    _outcomes(books, httpserver, _prepared("1", action=Action.UPDATE), _saved("1"))
    assert httpserver.log[0][0].method == "POST"


def test_answers_in_another_order_are_told_apart_by_number(
    books: XeroBooks, httpserver: HTTPServer
) -> None:
    sent = _prepared("1", "2", "3")
    found = _outcomes(books, httpserver, sent, _saved("3"), _saved("1"), _refused("2", "No"))
    assert [(one.number, one.accepted) for one in found] == [
        ("1", True),
        ("2", False),
        ("3", True),
    ]


def test_bills_of_the_same_number_keep_their_places(
    books: XeroBooks, httpserver: HTTPServer
) -> None:
    first, second = _saved("7") | {"InvoiceID": "a"}, _saved("7") | {"InvoiceID": "b"}
    found = _outcomes(books, httpserver, _prepared("7", "7"), first, second)
    assert [one.external_id for one in found] == ["a", "b"]


@pytest.mark.parametrize(
    "answered",
    [
        [_saved("1")],
        [_saved("1"), _saved("9")],
        [],
        [_saved("1"), _saved("1")],
    ],
)
def test_an_element_without_a_verdict_is_uncertain(
    books: XeroBooks, httpserver: HTTPServer, answered: list[dict[str, Any]]
) -> None:
    with pytest.raises(TryLater) as failure:
        _outcomes(books, httpserver, _prepared("1", "2"), *answered)
    assert failure.value.uncertain is True


def test_an_error_under_the_contact_refuses_the_document(
    books: XeroBooks, httpserver: HTTPServer
) -> None:
    refused = {
        "InvoiceID": ZERO,
        "InvoiceNumber": "1",
        "HasErrors": True,
        "Contact": {"ValidationErrors": [{"Message": "Email address must be valid."}]},
    }
    (found,) = _outcomes(books, httpserver, _prepared("1"), refused)
    assert (found.accepted, found.problems[0].code) == (False, "email_invalid")
    assert found.problems[0].field == "Contact"


def test_a_refusal_without_a_reason_is_still_one(books: XeroBooks, httpserver: HTTPServer) -> None:
    (found,) = _outcomes(books, httpserver, _prepared("1"), {"InvoiceID": ZERO})
    assert (found.accepted, found.problems[0].code) == (False, "rejected")


def test_what_was_saved_stays_accepted_beside_an_old_fault_of_the_contact(
    books: XeroBooks, httpserver: HTTPServer
) -> None:
    contact = {"ValidationErrors": [{"Message": "Email address must be valid."}]}
    (found,) = _outcomes(books, httpserver, _prepared("1"), _saved("1", Contact=contact))
    assert (found.accepted, found.warnings) == (True, ("Email address must be valid.",))


def test_a_strange_member_costs_only_itself(books: XeroBooks, httpserver: HTTPServer) -> None:
    (found,) = _outcomes(books, httpserver, _prepared("1"), _saved("1", Total={"was": 1}))
    assert (found.accepted, found.external_id) == (True, "id-1")


def test_batches_have_bounds(books: XeroBooks) -> None:
    with pytest.raises(ValueError, match="50"):
        books.send(_prepared(*map(str, range(51))), "key")
    with pytest.raises(ValueError, match="128"):
        books.send(_prepared("1"), "k" * 129)
    with pytest.raises(ValueError, match="ASCII"):
        books.send(_prepared("1"), "clé")
    mixed = _prepared("1") + _prepared("2", action=Action.UPDATE)
    with pytest.raises(ValueError, match="one kind"):
        books.send(mixed, "key")
