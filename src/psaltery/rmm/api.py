"""Where systems of remote monitoring call: verify on the raw bytes, store once, answer."""

import msgspec
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from psaltery.inbound.api import MOST_BYTES, STORED_HEADER
from psaltery.kit.clock import now
from psaltery.rmm import keys, service, wire

SIGNATURE_HEADER = "X-Psaltery-Signature"


@csrf_exempt
def alerts(request: HttpRequest) -> HttpResponse:
    """Alerts signed with a known key: stored before the answer. 401 when not, 400 unreadable."""
    if request.method != "POST":
        return _answer(405)
    # Before the body is read: who has no key must not fill the memory.
    if int(request.headers.get("Content-Length") or 0) > MOST_BYTES:
        return _answer(413)
    # The bytes as they came: parsed and written again they would have another signature.
    body = request.body
    if keys.signed_with(body, request.headers.get(SIGNATURE_HEADER, "")) is None:
        return _answer(401)
    try:
        found = wire.read(body, now())
    except (msgspec.MsgspecError, wire.TooMany) as problem:
        return _answer(400, str(problem))
    answer = _answer(200)
    # Stored first: a sender that hears 200 never sends it again.
    answer[STORED_HEADER] = str(service.keep(found))
    return answer


def _answer(status: int, text: str = "") -> HttpResponse:
    answer = HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")
    # A flood of refusals must not fill the log, as Django's warnings would.
    answer.__dict__["_has_been_logged"] = True
    if status == 405:
        answer["Allow"] = "POST"
    return answer
