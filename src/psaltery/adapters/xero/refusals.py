"""Answers that are no success, in Xero's four dialects, as one of the four failures.

https://developer.xero.com/documentation/api/accounting/responsecodes
"""

from datetime import timedelta
from typing import Any

import msgspec

from psaltery.adapters.answers import Answer, looks_like_html, unreadable
from psaltery.adapters.errors import Failure, NeedsReconnect, Rejected, TryLater
from psaltery.adapters.xero import wire
from psaltery.adapters.xero.messages import problem, problems_in
from psaltery.kit.clock import now
from psaltery.kit.text import cut, single_line
from psaltery.records.drafts import Problem

# Xero names about five minutes for an organisation that is offline, and "minutes" for the rest.
_OFFLINE = timedelta(minutes=5)
_HIGH_VOLUME = 51


def classify(answer: Answer) -> Failure | None:
    """The failure in an answer, None for what the client reads itself.

    That is: success, 404 on a read (unknown id), 400 on a write with a verdict for each element,
    and whatever `Caller` treats alike for all systems (429, an aged token, most 5xx).
    """
    match answer.status:
        case 401 | 403:
            return _refused_access(answer)
        case 503:
            return _offline(answer)
        case 400 | 404 if has_elements(answer) or (answer.status == 404 and not answer.write):
            return None
        case status if 400 <= status < 500 and status != 429:
            return unreadable(answer) if looks_like_html(answer) else Rejected(_reasons(answer))
    return None


def has_elements(answer: Answer) -> bool:
    """True for a validation failure of a write that names the elements it is about."""
    return answer.write and bool(_told(answer).get("Elements"))


def _refused_access(answer: Answer) -> Failure | None:
    """https://developer.xero.com/documentation/guides/oauth2/scopes/"""
    detail = f"{_told(answer).get('Detail', '')} {answer.headers.get('www-authenticate', '')}"
    if "insufficient_scope" in detail or "AuthorizationUnsuccessful" in detail:
        return NeedsReconnect(
            "Xero refuses this with the permissions that were granted. Reconnect and grant "
            f"them again ({answer.operation}).",
            code="scope_missing",
        )
    # Xero's page says 401 for an organisation that was disconnected; captures show 403.
    if "AuthenticationUnsuccessful" in detail:
        return NeedsReconnect(
            "The organisation is no longer connected to this app in Xero. Reconnect it.",
            code="tenant_removed",
        )
    # An aged token: `Caller` renews it and asks again, and names the failure if that fails too.
    if answer.status == 401:
        return None
    if looks_like_html(answer):
        return unreadable(answer)
    sentence = "The Xero user who authorised the connection may not do this"
    return Rejected([Problem(code="permission_denied", message=f"{sentence}: {_said(answer)}")])


def _offline(answer: Answer) -> Failure | None:
    """Known texts of a 503: then nothing was carried out, not even a write."""
    text = answer.text.lower()
    if "organisation is offline" in text:
        sentence = "The organisation is offline at Xero."
        return TryLater(sentence, at=now() + _OFFLINE, limit="offline")
    if "offline for maintenance" in text:
        return TryLater("Xero is offline for maintenance.", at=now() + _OFFLINE)
    return None


def _reasons(answer: Answer) -> tuple[Problem, ...]:
    # The elements of a read's refusal are empty; of a write's, `outcomes` has read them.
    told = _told(answer)
    if told.get("ErrorNumber") == _HIGH_VOLUME or told.get("Type") == "HighVolumeException":
        return (Problem(code="high_volume", message=_said(answer)),)
    if found := problems_in(told):
        return found
    said = problem(_said(answer))
    # A write to what is not there: the sentence varies, the meaning does not.
    if answer.status == 404:
        return (Problem(code="document_not_found", message=said.message),)
    return (said,)


def _said(answer: Answer) -> str:
    """Xero's own sentence, from whichever member holds it in this dialect."""
    told = _told(answer)
    for member in ("Message", "Detail", "Title", "error_description", "error"):
        if isinstance(text := told.get(member), str) and text:
            return text
    return cut(single_line(answer.text), 300) or f"status {answer.status} for {answer.operation}"


def _told(answer: Answer) -> dict[str, Any]:
    try:
        told = wire.plain(answer.body)
    except msgspec.DecodeError:
        return {}
    return told if isinstance(told, dict) else {}
