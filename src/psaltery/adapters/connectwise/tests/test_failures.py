"""Which of the four failures an answer is."""

import pytest

from psaltery.adapters.answers import Answer
from psaltery.adapters.connectwise.failures import (
    CLIENT_ID,
    CONDITION_REFUSED,
    NO_PATH,
    NOT_FOUND,
    PERMISSION,
    classify,
)
from psaltery.adapters.errors import BadSettings, NeedsReconnect, Rejected, TryLater

JSON = {"content-type": "application/json"}
HTML = {"content-type": "text/html"}


def answer(status: int, body: bytes = b"{}", *, write: bool = False, html: bool = False) -> Answer:
    headers = HTML if html else JSON
    return Answer(status=status, headers=headers, body=body, write=write, operation="GET x")


def problems(body: bytes, status: int = 400) -> list[tuple[str, str, str]]:
    failure = classify(answer(status, body))
    assert isinstance(failure, Rejected)
    return [(problem.code, problem.message, problem.field) for problem in failure.problems]


def test_what_is_well_is_let_through() -> None:
    assert classify(answer(200, b"[]")) is None
    assert classify(answer(204, b"")) is None


def test_every_message_is_kept() -> None:
    body = b"""{"code":"InvalidObject","message":"payment object is invalid","errors":[
        {"code":"ObjectExists","message":"There is one.","resource":"payment","field":"invoice"},
        {"code":"OfNextYear","message":"And this.","resource":"payment","field":"amount"}]}"""
    assert problems(body) == [
        ("psa_exists", "There is one.", "invoice"),
        ("psa_refused", "And this.", "amount"),
    ]


def test_a_refused_condition_is_known() -> None:
    body = b'{"code":"ApiFindCondition","message":"lastUpdated is invalid","errors":null}'
    assert problems(body) == [(CONDITION_REFUSED, "lastUpdated is invalid", "")]


def test_refusals_without_a_reason() -> None:
    for body in (b"", b"null", b"[]", b'{"errors": []}', b"cut {"):
        assert problems(body, 409)[0][0] == "psa_refused"


def test_not_found_and_no_such_path_differ() -> None:
    assert problems(b'{"code":"NotFound","message":"Invoice 5 not found"}', 404)[0][0] == NOT_FOUND
    nested = b'{"code":"InvalidObject","errors":[{"code":"NotFound","message":"gone"}]}'
    assert problems(nested, 404)[0][0] == NOT_FOUND
    assert problems(b"<html>404</html>", 404)[0][0] == NO_PATH


def test_keys_and_permissions() -> None:
    keys = classify(answer(401))
    assert isinstance(keys, NeedsReconnect)
    assert keys.code == "keys_refused"
    denied = classify(answer(403, b'{"code":"Security","message":"Insufficient permissions"}'))
    assert isinstance(denied, BadSettings)
    assert denied.which == PERMISSION
    client = classify(answer(403, b'{"message":"A valid clientId header is required."}'))
    assert isinstance(client, BadSettings)
    assert client.which == CLIENT_ID


@pytest.mark.parametrize("status", [500, 502, 503])
def test_trouble_is_uncertain_only_for_writes(status: int) -> None:
    read, written = classify(answer(status)), classify(answer(status, write=True))
    assert isinstance(read, TryLater)
    assert isinstance(written, TryLater)
    assert (read.uncertain, written.uncertain) == (False, True)


def test_a_web_page_where_data_was_due() -> None:
    page = b"<html><body>Maintenance</body></html>"
    assert isinstance(classify(answer(200, page, html=True)), TryLater)
    assert isinstance(classify(answer(400, page, html=True)), TryLater)


def test_throttled() -> None:
    failure = classify(answer(429, b'{"error":"TooManyRequests","message":"Try in 30 seconds."}'))
    assert isinstance(failure, TryLater)
    assert failure.at is not None
    assert failure.limit == "minute"
