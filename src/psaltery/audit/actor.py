"""Who acts, and about what: set once around some work, read by every entry made within it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

WORKER = "worker"


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What the calls of a stretch of work are about."""

    document_kind: str = ""
    documents: tuple[str, ...] = ()
    customer: str = ""


# Of the context, not of the process: requests and jobs run side by side in threads.
_actor: ContextVar[str] = ContextVar("audit_actor", default=WORKER)
_NOTHING = Subject()
_subject: ContextVar[Subject] = ContextVar("audit_subject", default=_NOTHING)


def actor() -> str:
    """Who acts now: a person's e-mail address, "worker" or "command line"."""
    return _actor.get()


def subject() -> Subject:
    """What the present work is about."""
    return _subject.get()


@contextmanager
def acting_as(name: str) -> Iterator[None]:
    """Entries made within are this actor's."""
    token = _actor.set(name)
    try:
        yield
    finally:
        _actor.reset(token)


@contextmanager
def about(
    *, document_kind: str = "", documents: Sequence[str] = (), customer: str = ""
) -> Iterator[None]:
    """Requests made within concern these documents and this customer."""
    token = _subject.set(
        Subject(document_kind=document_kind, documents=tuple(documents), customer=customer)
    )
    try:
        yield
    finally:
        _subject.reset(token)
