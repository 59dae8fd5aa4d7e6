"""ConnectWise's refusals as the four failures.

Error bodies are `{code, message, errors: [{code, message, resource, field}]}`.
https://developer.connectwise.com/Products/ConnectWise_PSA/Developer_Guide#Errors
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from psaltery.adapters.answers import Answer, looks_like_html, unreadable
from psaltery.adapters.connectwise.wire import ErrorBody, ErrorEntry
from psaltery.adapters.errors import BadSettings, Failure, NeedsReconnect, Rejected, TryLater
from psaltery.adapters.http import retry_after
from psaltery.kit.clock import now
from psaltery.kit.text import clean
from psaltery.records.drafts import Problem

NOT_FOUND = "psa_not_found"
NO_PATH = "psa_no_such_path"
CONDITION_REFUSED = "psa_condition_refused"
PERMISSION = "permission"
CLIENT_ID = "client_id"
_MINUTE = timedelta(minutes=1)

# The vendor's codes that Psaltery acts on; every other one becomes "psa_refused".
_CODES = {
    "NotFound": NOT_FOUND,
    "ApiFindCondition": CONDITION_REFUSED,
    "ObjectExists": "psa_exists",
    "InvalidObject": "psa_refused",
}
_CLIENT_ID_WORDS = ("clientid", "client id", "client-id")


def classify(answer: Answer) -> Failure | None:
    """The failure in an answer, or None when it is one to be read."""
    if answer.ok:
        return unreadable(answer) if answer.body and looks_like_html(answer) else None
    body = _body(answer)
    # Keys can't be renewed by a program: only a person helps, so that nothing is tried again.
    if answer.status == 401:
        return _keys_refused()
    # 403 has two dialects: no (known) client id, and a role that lacks a permission.
    if answer.status == 403:
        return _forbidden(body)
    if answer.status == 404:
        return _missing(answer, body)
    if answer.status == 429:
        # The caller obeys 429 before it asks here; this is for whoever classifies an answer alone.
        return TryLater(_sentence(body), at=retry_at(answer), limit="minute")
    if answer.status >= 500:
        return _trouble(answer, body)
    if answer.status >= 400 and body is None:
        return unreadable(answer) if looks_like_html(answer) else _refused(answer, [])
    return _refused(answer, _problems(body)) if answer.status >= 400 else None


def retry_at(answer: Answer) -> datetime:
    """When a throttled caller may come back: Retry-After, else a minute from now."""
    return retry_after(answer.headers) or now() + _MINUTE


def has_code(failure: Rejected, code: str) -> bool:
    """True when one of the problems has this code."""
    return any(problem.code == code for problem in failure.problems)


def _body(answer: Answer) -> ErrorBody | None:
    try:
        return msgspec.json.decode(answer.body, type=ErrorBody)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _keys_refused() -> Failure:
    return NeedsReconnect(
        "ConnectWise refused the keys. Make new keys for the API member in ConnectWise "
        "(System > Members > API Members) and enter them with Reconnect.",
        code="keys_refused",
    )


def _forbidden(body: ErrorBody | None) -> Failure:
    told = _sentence(body)
    # Told by its words alone: both dialects have the same status, and codes are not documented.
    if any(word in told.lower() for word in _CLIENT_ID_WORDS):
        return BadSettings(
            f"ConnectWise does not accept the client id: {told} Register one at the ConnectWise "
            "developer network and enter it in the connection.",
            which=CLIENT_ID,
        )
    return BadSettings(f"ConnectWise denies this to the API member: {told}", which=PERMISSION)


def _missing(answer: Answer, body: ErrorBody | None) -> Failure:
    """A record that is gone says so with the code NotFound; whatever else answers 404 is a wrong
    codebase, or a cloud site's way of refusing keys."""
    code = NOT_FOUND if body and _all_codes(body) & {"NotFound"} else NO_PATH
    return Rejected([Problem(code=code, message=_sentence(body, answer))])


def _trouble(answer: Answer, body: ErrorBody | None) -> Failure:
    told = f" It says: {_sentence(body)}" if body and body.message else ""
    return TryLater(
        f"ConnectWise has trouble (status {answer.status} for {answer.operation}).{told}",
        at=retry_after(answer.headers),
        # There is no idempotency key here: only a look at the record tells what became of a write.
        uncertain=answer.write,
    )


def _refused(answer: Answer, problems: Sequence[Problem]) -> Failure:
    if problems:
        return Rejected(problems)
    sentence = f"ConnectWise refused {answer.operation} (status {answer.status})."
    return Rejected([Problem(code="psa_refused", message=sentence)])


def _problems(body: ErrorBody | None) -> list[Problem]:
    if body is None:
        return []
    entries = body.errors or []
    found = [_problem(entry, body) for entry in entries]
    if found:
        return found
    return [Problem(code=_code([body.code]), message=_sentence(body))] if body.message else []


def _problem(entry: ErrorEntry, body: ErrorBody) -> Problem:
    return Problem(
        code=_code([entry.code, body.code]),
        message=clean(entry.message or body.message or "ConnectWise gave no reason."),
        field=entry.field or "",
        subject=entry.resource or "",
    )


def _code(codes: Iterable[str | None]) -> str:
    known = (_CODES[code] for code in codes if code in _CODES)
    # The inner code first: "InvalidObject" around it says less than "ObjectExists" within.
    return next(known, "psa_refused")


def _all_codes(body: ErrorBody) -> set[str]:
    return {code for code in (body.code, *(e.code for e in body.errors or [])) if code}


def _sentence(body: ErrorBody | None, answer: Answer | None = None) -> str:
    if body and (body.message or body.error):
        return clean(body.message or body.error or "")
    where = f" for {answer.operation}" if answer else ""
    return f"ConnectWise gave no reason{where}."
