"""The documents that a step still has something to do for: what a failure of it blocks."""

from collections.abc import Callable

from django.db.models import Q, QuerySet

from psaltery.connections.models import Organisation
from psaltery.desk.models import Document
from psaltery.matching.models import PaymentBack, PaymentTaken
from psaltery.posting.models import Posting


def blocked_by(organisation: Organisation, step: str) -> QuerySet[Document] | None:
    """What waits for a step of an organisation (for what is written to the PSA: of its site).

    None for a step that no document waits for.
    """
    wanted = _STEPS.get(step)
    return Document.objects.filter(wanted(organisation)) if wanted else None


def _posting(organisation: Organisation) -> Q:
    moving = (Posting.State.WAITING, Posting.State.POSTING, Posting.State.UNCERTAIN)
    return Q(posting__organisation=organisation, posting__state__in=moving)


def _payments(site: Organisation) -> Q:
    moving = (PaymentBack.State.WAITING, PaymentBack.State.WRITING, PaymentBack.State.UNCERTAIN)
    return Q(connection=site.connection_id, payment_back__state__in=moving)


def _taken(organisation: Organisation) -> Q:
    moving = (PaymentTaken.State.WAITING, PaymentTaken.State.WRITING, PaymentTaken.State.UNCERTAIN)
    # By id: a document with two payments is blocked once.
    rows = PaymentTaken.objects.filter(organisation=organisation, state__in=moving)
    return Q(pk__in=rows.values("document")) | Q(payments_to_read__organisation=organisation)


def _reading(site: Organisation) -> Q:
    return Q(connection=site.connection_id, payments_to_read__isnull=False)


def _marks(site: Organisation) -> Q:
    return Q(connection=site.connection_id, link__isnull=False, link__psa_marked_at__isnull=True)


_STEPS: dict[str, Callable[[Organisation], Q]] = {
    "posting": _posting,
    "payments": _payments,
    "taken": _taken,
    "reading": _reading,
    "marks": _marks,
}
STEPS = tuple(_STEPS)
