"""Where vendors call: verify, store once, wake the feed, answer. No session, no cookie, no page.

Answers have an empty body: Xero refuses others. `X-Psaltery-Stored` tells how many events were
new (docs/decisions/webhook-answers.md).
"""

import msgspec
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from psaltery.adapters.connectwise import webhooks as connectwise_wire
from psaltery.adapters.connectwise.webhooks import Notice
from psaltery.adapters.errors import Failure
from psaltery.adapters.xero import webhooks as xero_wire
from psaltery.connections.models import Connection, Organisation
from psaltery.connections.opening import base_url
from psaltery.inbound import callback_key, keys, refusals, storing
from psaltery.inbound.models import RealTime, Refusal
from psaltery.inbound.storing import Arrived
from psaltery.inbound.together import Together
from psaltery.sync import called, deliveries, queue
from psaltery.sync.wake import wake

# Without a limit anybody could fill the memory: the body is read before its signature is known.
# Xero's deliveries have some kilobytes; a callback carries its whole record.
MOST_BYTES = 1_048_576
STORED_HEADER = "X-Psaltery-Stored"
Reason = Refusal.Reason


@csrf_exempt
def xero(request: HttpRequest) -> HttpResponse:
    """Deliveries of Xero's webhooks: 200 when signed with a known key, 401 when not.

    https://developer.xero.com/documentation/guides/webhooks/configuring-your-server/
    """
    if (refused := _not_a_delivery(request, "xero")) is not None:
        return refused
    # The bytes as they came: Xero's JSON has odd blanks, and written anew it would not match its
    # signature.
    # https://developer.xero.com/documentation/webhooks/overview
    body = request.body
    key = _xero_key(body, request.headers.get(xero_wire.SIGNATURE_HEADER, ""))
    if key is None:
        refusals.note("xero", _xero_reason(body))
        return _answer(401)
    keys.note_use(key)
    try:
        delivery = xero_wire.read(body)
    except msgspec.MsgspecError:
        # Signed, so it is Xero's own: told again it would be no better.
        refusals.note("xero", Reason.UNREADABLE, key.connection_id)
        return _answer(200, stored=0)
    # Xero's intent to receive: empty deliveries, some signed wrongly. Both answers must be right,
    # or the subscription is never switched on.
    if not delivery.notices:
        return _answer(200, stored=0)
    return _answer(200, stored=_together.do(Arrived(delivery, key.connection_id)))


def _xero_key(body: bytes, signature: str) -> keys.Key | None:
    """The key that the body was signed with; read again before a delivery is refused."""
    # Twice: a key that was pasted in another process a second ago must not cost a delivery.
    for fresh in (False, True):
        for key in keys.known("xero", fresh=fresh):
            if xero_wire.is_signed(body, signature, key.secret):
                return key
    return None


def _xero_reason(body: bytes) -> Reason:
    """Why a delivery was refused, as far as it can be told from what nobody vouches for."""
    if not keys.known("xero"):
        return Reason.NO_KEY
    try:
        has_events = bool(xero_wire.read(body).notices)
    except msgspec.MsgspecError:
        has_events = True
    # Xero signs some empty deliveries wrongly on purpose, to see them refused.
    return Reason.SIGNATURE if has_events else Reason.PROBE


_together: Together[Arrived, int] = Together(deliveries.keep)


@csrf_exempt
def connectwise(request: HttpRequest, public_id: str) -> HttpResponse:
    """Callbacks of one ConnectWise site: 2xx when signed by it, 401 when not.

    429 has ConnectWise try again, twice, within seconds; after other refusals the callback is lost
    and polling finds what it was about.
    https://developer.connectwise.com/Best_Practices/PSA_Callbacks
    """
    if (refused := _not_a_delivery(request, "connectwise")) is not None:
        return refused
    row = RealTime.objects.select_related("connection").filter(public_id=public_id).first()
    if row is None or not row.wanted or row.connection.state == Connection.State.DISCONNECTED:
        # Not counted as a refusal: nobody here waits for these callbacks any more.
        return _answer(410)
    body = request.body
    try:
        notice = connectwise_wire.read(body)
    except msgspec.MsgspecError:
        refusals.note("connectwise", Reason.UNREADABLE, row.connection_id)
        return _answer(400)
    try:
        reason = _callback_refusal(row.connection, body, notice, _signature(request))
    # The key could not be fetched, so nobody knows whether it is forged: asked for once more.
    except Failure:
        return _answer(429)
    if reason is not None:
        refusals.note("connectwise", reason, row.connection_id)
        return _answer(401)
    return _answer(200, stored=_store_callback(row.connection, notice))


def _signature(request: HttpRequest) -> str:
    return request.headers.get(connectwise_wire.SIGNATURE_HEADER, "")


def _callback_refusal(
    connection: Connection, body: bytes, notice: Notice, signature: str
) -> Reason | None:
    """Why a callback is not believed; None when it is. Raises a failure when that can't be told."""
    # Before anything is fetched: the address is the sender's word. Else anybody could have us call
    # any host (SSRF), and sign with a key of their own.
    if not connectwise_wire.is_trusted_key_address(notice.key_url, base_url(connection)):
        return Reason.KEY_ADDRESS
    for fresh in (False, True):
        key = callback_key.signing_key(connection, notice.key_url, fresh=fresh)
        if key and connectwise_wire.is_signed(body, signature, key):
            return None
    return Reason.SIGNATURE if key else Reason.NO_KEY


def _store_callback(connection: Connection, notice: Notice) -> int:
    by_id = notice.category in called.READ_BY_ID
    # The event and its job are one: what is answered with 200 will be read, whatever crashes.
    with transaction.atomic():
        if not storing.store_callback(connection.pk, notice, waits=by_id):
            return 0
        site = Organisation.objects.filter(connection=connection).values_list("pk").first()
        if site is None:
            return 1
        if by_id:
            queue.called(site[0])
        else:
            wake({(site[0], feed) for feed in notice.feeds})
    return 1


def _not_a_delivery(request: HttpRequest, kind: str) -> HttpResponse | None:
    if request.method != "POST":
        answer = _answer(405)
        answer["Allow"] = "POST"
        return answer
    if int(request.headers.get("Content-Length") or 0) > MOST_BYTES:
        refusals.note(kind, Reason.TOO_LARGE)
        return _answer(413)
    return None


def _answer(status: int, stored: int | None = None) -> HttpResponse:
    answer = HttpResponse(status=status)
    # Xero wants an empty body and no cookies; older rules call anything else a failure.
    del answer["Content-Type"]
    # Else the server sends an empty body in chunks, which some take for a body.
    answer["Content-Length"] = "0"
    # Refusals are counted; a flood of them must not fill the log, as Django's warnings would.
    answer.__dict__["_has_been_logged"] = True
    if stored is not None:
        answer[STORED_HEADER] = str(stored)
    return answer
