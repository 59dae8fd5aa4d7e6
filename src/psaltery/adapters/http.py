"""The only way out: one caller an organisation, over clients shared by the process.

A `Caller` adds the credential, takes from the budget, bounds time and size, retries what may be
retried in moments, tells the audit log, and turns every failure into one of the four.
"""

import os
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import datetime, timedelta
from functools import cache
from math import inf
from time import monotonic
from typing import Protocol

import httpx2
import msgspec
import stamina

from psaltery.adapters.answers import Answer, looks_like_html, unreadable
from psaltery.adapters.budget import BudgetPort, Heard, counter
from psaltery.adapters.errors import BadSettings, Failure, NeedsReconnect, TryLater
from psaltery.adapters.exchange import (
    KEPT_OF_A_READ,
    KEPT_OF_A_WRITE,
    Exchange,
    Recorder,
    without_secrets,
    written,
)
from psaltery.kit.clock import now, parse_http_date

USER_AGENT = "Psaltery"
# An endless answer must not take the worker's memory with it.
MOST_BYTES = 32 * 1024 * 1024
TIMEOUTS = httpx2.Timeout(60.0, connect=10.0, pool=10.0)
CLOCK_SKEW_NOTICED = timedelta(minutes=2)
_MINUTE = timedelta(minutes=1)
# Failures before a byte of the request was sent: nothing can have been carried out.
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)

Params = Mapping[str, str | int]
Classify = Callable[[Answer], Failure | None]


class Credential(Protocol):
    """What proves who we are. Raises NeedsReconnect when there is nothing (any more)."""

    def headers(self) -> Mapping[str, str]:
        """Headers for the next request; may renew a token that is about to age out."""

    def refresh(self, refused: Mapping[str, str]) -> bool:
        """After a 401 to a request with the headers `refused`: get newer ones; False where there is
        nothing to renew."""


class FixedCredential:
    """Keys that never change, such as ConnectWise's; with none, an anonymous caller."""

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        self._headers = dict(headers or {})

    def headers(self) -> Mapping[str, str]:
        """The same each time."""
        return self._headers

    def refresh(self, refused: Mapping[str, str]) -> bool:
        """Keys can't be renewed by a program."""
        return False


class CalledInsideTransaction(RuntimeError):
    """A bug: a network call inside a database transaction would hold its locks for minutes."""


_begin_until: ContextVar[float] = ContextVar("begin_until", default=inf)


@contextmanager
def begin_writes_within(span: timedelta) -> Iterator[None]:
    """Within, a write that was not begun in time is not sent any more: TryLater, not uncertain.

    For writes that another process may have taken over meanwhile: this one may have been stopped
    by its system, on any line, for any time.
    """
    token = _begin_until.set(monotonic() + span.total_seconds())
    try:
        yield
    finally:
        _begin_until.reset(token)


class _Shortly(TryLater):
    """A failure that is worth another try within seconds, in this very call."""


class _Sent(msgspec.Struct, frozen=True, kw_only=True):
    """One request, ready to go."""

    method: str
    path: str
    params: Params | None
    headers: Mapping[str, str]
    body: bytes | None
    write: bool
    operation: str
    idempotency_key: str


def _never() -> bool:
    return False


def _accept(answer: Answer) -> Failure | None:
    return None


class Caller:
    """Calls one outside system for one organisation. Safe to use from one thread at a time."""

    def __init__(
        self,
        base_url: str,
        *,
        credential: Credential,
        budget: BudgetPort,
        recorder: Recorder,
        inside_transaction: Callable[[], bool] = _never,
        classify: Classify = _accept,
        timeouts: httpx2.Timeout = TIMEOUTS,
        max_bytes: int = MOST_BYTES,
        user_agent: str = USER_AGENT,
    ) -> None:
        """`classify` names the failure in an answer, or returns None to let it through."""
        self.base_url = base_url.rstrip("/")
        self._credential = credential
        self._budget = budget
        self._recorder = recorder
        self._inside_transaction = inside_transaction
        self._classify = classify
        self._timeouts = timeouts
        self._max_bytes = max_bytes
        self._user_agent = user_agent

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        write: bool = False,
        operation: str = "",
        idempotency_key: str = "",
    ) -> Answer:
        """Send one request and return its whole answer; `path` begins with a slash.

        Raises one of the four failures. A read that fails in passing is repeated for a few seconds;
        a write is repeated only where it was certainly not carried out (429 for too many at once,
        an access token that had aged). TryLater(uncertain=True): the write may have happened.
        """
        # A rollback after the call would also undo the note that a write was on its way.
        if self._inside_transaction():
            raise CalledInsideTransaction(f"{method} {path} while a transaction is open")
        sent = _Sent(
            method=method,
            path=path,
            params=params,
            headers=headers or {},
            body=body,
            write=write,
            operation=operation or f"{method} {path}",
            idempotency_key=idempotency_key,
        )
        for attempt in stamina.retry_context(
            on=_Shortly, attempts=3, timeout=15, wait_initial=0.3, wait_max=3, wait_jitter=0.4
        ):
            with attempt:
                return self._authorised(sent)
        raise AssertionError("stamina ends with an answer or an exception")

    def _authorised(self, sent: _Sent) -> Answer:
        proof = self._credential.headers()
        answer = self._counted(sent, proof)
        if answer.status == 401 and self._may_refresh(answer) and self._credential.refresh(proof):
            # The repeat takes from the budget, too: it is another call.
            answer = self._counted(sent, self._credential.headers())
        failure = self._failure_in(answer)
        if failure is not None:
            raise failure
        return answer

    def _may_refresh(self, answer: Answer) -> bool:
        failure = self._classify(answer)
        # Xero says 401 for an aged token and for a missing scope; no new token cures the latter.
        return not (isinstance(failure, NeedsReconnect) and failure.code == "scope_missing")

    def _failure_in(self, answer: Answer) -> Failure | None:
        # Before the adapter looks: Xero's 429 often has no body that could be classified.
        if answer.status == 429:
            return too_many(answer)
        if (failure := self._classify(answer)) is not None:
            return _shortly(failure) if answer.status >= 500 and not answer.write else failure
        return default_failure(answer)

    def _counted(self, sent: _Sent, proof: Mapping[str, str]) -> Answer:
        self._budget.take()
        started, at = monotonic(), now()
        answer: Answer | None = None
        trouble = ""
        try:
            answer = self._exchange(sent, proof)
            trouble = str(self._failure_in(answer) or "")
            return answer
        except Failure as failure:
            trouble = str(failure)
            raise
        finally:
            # In `finally`, since a slot that is not freed would be missing until the process ends.
            self._budget.learn(_heard(sent, answer))
            self._recorder.record(
                self._told(sent, proof, answer, at=at, seconds=monotonic() - started, why=trouble)
            )

    def _exchange(self, sent: _Sent, proof: Mapping[str, str]) -> Answer:
        headers = self._headers(sent, proof)
        # As late as it can be asked: the wait for the budget may have taken the time.
        if sent.write and monotonic() > _begin_until.get():
            raise TryLater(f"{sent.operation} could not be begun in time.")
        try:
            with _client(self.base_url).stream(
                sent.method,
                self.base_url + sent.path,
                params=dict(sent.params) if sent.params else None,
                headers=headers,
                content=sent.body,
                timeout=self._timeouts,
            ) as response:
                self._notice_clock(response.headers)
                return self._whole(sent, response)
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as wrong:
            raise BadSettings(
                f"{self.base_url} is not an address that can be called: {wrong}", which="address"
            ) from wrong
        except _NOT_SENT as wrong:
            raise _unreachable(self.base_url, wrong) from wrong
        except httpx2.RequestError as wrong:
            raise _dropped(sent, wrong) from wrong

    def _headers(self, sent: _Sent, proof: Mapping[str, str]) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": self._user_agent}
        if sent.body is not None:
            headers["Content-Type"] = "application/json"
        if sent.idempotency_key:
            headers["Idempotency-Key"] = sent.idempotency_key
        # What an adapter sets wins: ConnectWise takes its model version from Accept.
        return {**headers, **proof, **sent.headers}

    def _whole(self, sent: _Sent, response: httpx2.Response) -> Answer:
        chunks: list[bytes] = []
        size = 0
        for chunk in response.iter_bytes():
            size += len(chunk)
            if size > self._max_bytes:
                raise TryLater(
                    f"The answer to {sent.operation} is larger than "
                    f"{self._max_bytes // 1_048_576} MB and was cut off.",
                    # The write has been carried out by then; only its outcome was too long to read.
                    uncertain=sent.write,
                    limit="size",
                )
            chunks.append(chunk)
        return Answer(
            status=response.status_code,
            headers=response.headers,
            body=b"".join(chunks),
            write=sent.write,
            operation=sent.operation,
        )

    def _notice_clock(self, headers: Mapping[str, str]) -> None:
        if (told := parse_http_date(headers.get("date", ""))) is not None:
            skew = now() - told
            _skews[self.base_url] = skew if abs(skew) > CLOCK_SKEW_NOTICED else timedelta()

    def _told(
        self,
        sent: _Sent,
        proof: Mapping[str, str],
        answer: Answer | None,
        *,
        at: datetime,
        seconds: float,
        why: str,
    ) -> Exchange:
        # Without "Bearer" or "Basic", so that a bare token in an answer is found as well.
        secrets = [value.split(" ")[-1] for value in proof.values()]
        body = sent.body or b""
        status = answer.status if answer else 0
        most = KEPT_OF_A_READ if not sent.write and status < 400 else KEPT_OF_A_WRITE
        address = str(httpx2.URL(self.base_url + sent.path, params=dict(sent.params or {})))
        return Exchange(
            at=at,
            operation=sent.operation,
            method=sent.method,
            address=without_secrets(address, secrets, sent.operation),
            write=sent.write,
            status=status,
            duration_ms=round(seconds * 1000),
            bytes_out=len(body),
            bytes_in=len(answer.body) if answer else 0,
            request=written(
                _lower(sent.headers),
                body,
                most=KEPT_OF_A_WRITE,
                secrets=secrets,
                operation=sent.operation,
            ),
            response=written(
                answer.headers,
                answer.body,
                most=most,
                secrets=secrets,
                operation=sent.operation,
            )
            if answer
            else "",
            idempotency_key=sent.idempotency_key,
            failure=why,
        )


def default_failure(answer: Answer) -> Failure | None:
    """The failure in an answer that the adapter had nothing to say about."""
    if answer.status >= 500:
        sentence = f"The other side has trouble (status {answer.status} for {answer.operation})."
        return TryLater(sentence, uncertain=True) if answer.write else _Shortly(sentence)
    if answer.status == 401:
        return NeedsReconnect("The credential was refused. Reconnect.", code="token_revoked")
    if 300 <= answer.status < 400 and answer.status != 304:
        where = answer.headers.get("location", "another address")
        return BadSettings(f"The address answers by sending us to {where}.", which="address")
    if answer.ok and answer.body and looks_like_html(answer):
        return unreadable(answer)
    return None


def too_many(answer: Answer) -> TryLater:
    """The failure for a 429, from its headers: the body is often empty.

    https://developer.xero.com/documentation/guides/oauth2/limits/
    """
    limit = answer.headers.get("x-rate-limit-problem", "minute").strip().lower() or "minute"
    at = retry_after(answer.headers)
    sentence = f"The limit of calls ({limit}) is reached."
    # A slot is free again within moments; the other limits last a minute or a day.
    if limit == "concurrent":
        return _Shortly(sentence, at=at, limit=limit)
    return TryLater(sentence, at=at or now() + _MINUTE, limit=limit)


def retry_after(headers: Mapping[str, str]) -> datetime | None:
    """When the vendor wants us back: Retry-After in seconds or as a date; None when not said."""
    text = headers.get("retry-after", "").strip()
    with suppress(ValueError, OverflowError):
        return now() + timedelta(seconds=float(text))
    when, told = parse_http_date(text), parse_http_date(headers.get("date", ""))
    # A date is by the vendor's clock; ours may be minutes off.
    return now() + (when - told) if when and told else when


def _shortly(failure: Failure) -> Failure:
    if not isinstance(failure, TryLater) or failure.at is not None:
        return failure
    return _Shortly(str(failure), uncertain=failure.uncertain, limit=failure.limit)


def _heard(sent: _Sent, answer: Answer | None) -> Heard:
    if answer is None:
        return Heard(status=0, bytes_out=len(sent.body or b""))
    refused = too_many(answer) if answer.status == 429 else None
    return Heard(
        status=answer.status,
        bytes_out=len(sent.body or b""),
        bytes_in=len(answer.body),
        day_remaining=counter(answer.headers, "x-daylimit-remaining"),
        blocked_until=refused.at if refused else None,
        blocked_why=refused.limit if refused else "",
    )


def _unreachable(base_url: str, wrong: Exception) -> Failure:
    if "CERTIFICATE" in str(wrong).upper():
        return BadSettings(
            f"The certificate of {base_url} can't be trusted: {wrong}.", which="certificate"
        )
    return _Shortly(f"{base_url} can't be reached: {wrong or type(wrong).__name__}.")


def _dropped(sent: _Sent, wrong: Exception) -> TryLater:
    slow = isinstance(wrong, httpx2.TimeoutException)
    what = "took too long" if slow else f"broke off ({wrong or type(wrong).__name__})"
    sentence = f"The answer to {sent.operation} {what}."
    # The request may have arrived: nobody but the vendor's own list can say whether.
    if sent.write:
        return TryLater(sentence, uncertain=True)
    return TryLater(sentence, limit="timeout") if slow else _Shortly(sentence)


_skews: dict[str, timedelta] = {}


def clock_skew(base_url: str) -> timedelta:
    """How far our clock was ahead of the server's at its last answer; zero up to two minutes."""
    return _skews.get(base_url.rstrip("/"), timedelta())


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


_making = threading.Lock()


def _client(base_url: str) -> httpx2.Client:
    """The client of this process for this origin; connections are kept and HTTP/2 is spoken."""
    with _making:
        return _client_of(os.getpid(), base_url)


# The process id is part of the key because a client must not be used on both sides of a fork.
@cache
def _client_of(process: int, base_url: str) -> httpx2.Client:
    limits = httpx2.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=5.0)
    # A redirect is never followed: it could carry the credential to another host.
    return httpx2.Client(verify=_trust(), http2=True, limits=limits, follow_redirects=False)


# Reading the trusted certificates takes longer than a call.
@cache
def _trust() -> ssl.SSLContext:
    return httpx2.create_ssl_context()
