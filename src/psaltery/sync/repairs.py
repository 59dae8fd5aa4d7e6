"""The repairs that cards offer. One repair ends the cause and releases all it blocked, at once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from django.db import transaction

from psaltery.adapters.budget import Priority
from psaltery.adapters.errors import BadSettings
from psaltery.audit.actor import actor
from psaltery.audit.service import record_change
from psaltery.connections.models import Connection, Feed, Organisation
from psaltery.connections.opening import open_books
from psaltery.desk.models import Company
from psaltery.ledger.models import BillingCreditMemo, BillingInvoice, Customer
from psaltery.ledger.service import prepare, remember
from psaltery.mapping.lookup import KEYS, PURCHASE_LISTS, list_for, what_of
from psaltery.mapping.models import Mapping as MappingRow
from psaltery.mapping.routing import FIELDS
from psaltery.mapping.service import add_route, key_label, link_contact, set_mapping
from psaltery.matching.models import PaymentBack
from psaltery.matching.taken import carry_out as taken
from psaltery.matching.taken import service
from psaltery.matching.unapplied import service as unapplied
from psaltery.posting.contacts import make_contact, restore_contact
from psaltery.posting.kinds import books_kind
from psaltery.posting.models import Link, Posting
from psaltery.posting.policy import read_policy
from psaltery.posting.reissue.steps import Way
from psaltery.posting.service import skip
from psaltery.records.books import Status
from psaltery.records.drafts import BooksKind
from psaltery.records.psa import DocumentKind
from psaltery.review.catalogue import entry
from psaltery.review.models import Blocked, Card
from psaltery.review.service import resolve
from psaltery.sync import force, push, queue
from psaltery.sync.changes import (
    accept_books,
    accept_drift,
    anew,
    document_of,
    end_reissue,
    make_rule,
    next_day,
    repost,
    revert_drift,
)
from psaltery.sync.taken import again as again_taken
from psaltery.sync.wake import wake

Answers = Mapping[str, str]


class Repair(msgspec.Struct, frozen=True):
    """A repair: its button, the answers it asks for, and what it does to the cause.

    `act` returns how the card ended, in a sentence. It may call the books; the documents are
    released afterwards.
    """

    label: str
    asks: tuple[str, ...]
    act: Callable[[Card, Answers], str]


# What writes to the books itself: never offered where the connection reads only.
_WRITING = frozenset(
    {
        *("create_contact", "restore_contact", "revert_drift"),
        *("credit_anew", "void_anew", "credit_it", "apply_money"),
    }
)


def offered(card: Card) -> dict[str, Repair]:
    """The repairs that this card offers, in order."""
    names = [name for name in entry(card.code).repairs if name in REPAIRS]
    reads_only = card.organisation is not None and card.organisation.connection.read_only
    plans = card.details.get("plan") or {}
    fit = [name for name in names if name not in ANEW or name in plans]
    return {name: REPAIRS[name] for name in fit if not (reads_only and name in _WRITING)}


def repair(card: Card, name: str, answers: Answers, by: str) -> int:
    """Carry out one repair; returns how many documents it released.

    Raises BadSettings with what is wrong with an answer, or the failures of the books; the card
    then stays as it is.
    """
    # Two people may press at once; the second is told, and nothing is done twice.
    if card.state == Card.State.RESOLVED:
        raise BadSettings("This exception is resolved already.", which="card")
    chosen = offered(card).get(name)
    if chosen is None:
        known = ", ".join(offered(card))
        raise BadSettings(f"This exception offers: {known}.", which="repair")
    for ask in chosen.asks:
        if not answers.get(ask, "").strip():
            raise BadSettings("Choose a value.", which=ask)
    # Outside the transaction: it may call the books, and no transaction waits for a vendor.
    how = chosen.act(card, answers)
    with transaction.atomic():
        documents = resolve(card, by, how)
        record_change(f"{card.sentence} Repaired: {how}", operation=f"repair.{name}")
        if card.topic == "payment":
            return _again_payments(documents)
        if card.topic == taken.TOPIC:
            again_taken(service.again(documents), Priority.INTERACTIVE)
            return len(documents)
        if card.topic == "connection":
            return len(documents)  # they wait already, and to try again has queued their steps
        push.enqueue({*documents, *_cured_too(card, name)}, Priority.INTERACTIVE)
    return len(documents)


# What a repair may have mended beside its own card: the codes of the same family.
_FAMILIES = {
    "map_account": "account_",
    "map_tax": "tax_",
    "map_tracking": "tracking_",
    "add_route": "no_route",
}


def _cured_too(card: Card, name: str) -> list[int]:
    """Documents of other cards that the same answer may release: they are decided again."""
    if name not in _FAMILIES:
        return []
    others = Card.objects.filter(
        organisation=card.organisation, code__startswith=_FAMILIES[name], topic=card.topic
    ).exclude(state=Card.State.RESOLVED)
    return list(Blocked.objects.filter(card__in=others).values_list("document_id", flat=True))


def _again_payments(documents: list[int]) -> int:
    rows = PaymentBack.objects.filter(pk__in=documents, state=PaymentBack.State.HELD)
    rows.update(state=PaymentBack.State.WAITING)
    for organisation in set(
        PaymentBack.objects.filter(pk__in=documents).values_list("organisation_id", flat=True)
    ):
        queue.payments(organisation, Priority.INTERACTIVE)
    return len(documents)


def _organisation(card: Card) -> Organisation:
    if card.organisation is None:
        raise BadSettings("This exception belongs to no organisation.", which="organisation")
    return card.organisation


# Codes whose cause is the target of mappings, not a missing one: all that lead there are changed.
_BROKEN_TARGETS = (
    "account_missing",
    "account_archived",
    "account_invalid",
    "tax_invalid",
    "tracking_invalid",
)


def _map(list_: str) -> Callable[[Card, Answers], str]:
    def act(card: Card, answers: Answers) -> str:
        organisation, target = _organisation(card), answers["target"]
        mapped = list_of(card, list_)
        keys = mapped_keys(card, mapped, answers)
        if not keys:
            raise BadSettings(
                "The books did not say which mapping is to blame. Change it on the mapping page, "
                "then try again.",
                which="target",
            )
        with transaction.atomic():
            for kind, key in keys:
                set_mapping(organisation, mapped, kind, key, target)
        return f"{_keys_in_words(mapped, keys)} → {target}"

    return act


def list_of(card: Card, what: str) -> str:
    """The list that a mapping repair of this card changes: that of purchases has its own."""
    return list_for(what, DocumentKind.BILL) if _is_purchase(card) else what


def _is_purchase(card: Card) -> bool:
    return str(card.details.get("list", "")) in PURCHASE_LISTS


def _keys_in_words(list_: str, keys: Sequence[tuple[str, str]]) -> str:
    labels = [(key_label(list_, kind), key) for kind, key in keys]
    words = [f"{label} “{key}”" if key else label for label, key in labels]
    return ", ".join(words)


def mapped_keys(card: Card, list_: str, answers: Answers) -> list[tuple[str, str]]:
    """The (kind, key) pairs that a mapping repair of this card sets.

    The one that was chosen; else all whose target is broken; else the one that the card is about.
    """
    chosen = answers.get("key_kind", "")
    if chosen:
        key = answers.get("key") or str(card.details.get("key", ""))
        return [(chosen, "" if chosen in ("any", "exempt") else key)]
    if card.code in _BROKEN_TARGETS and card.organisation is not None:
        rows = MappingRow.objects.filter(organisation=card.organisation, list=list_)
        found = list(rows.filter(target=card.subject).values_list("key_kind", "key"))
        # All that lead to the broken target: mended one by one, each would come back as its own
        # card.
        if found:
            return found
    about = card.details.get(what_of(list_), card.details)
    kind = about.get("key_kind", "") if isinstance(about, dict) else ""
    return [(kind, str(about.get("key", "")))] if kind in KEYS[list_] else []


def _add_route(card: Card, answers: Answers) -> str:
    connection = Connection.objects.get(pk=card.details["connection"])
    chosen = answers["organisation"]
    target = Organisation.objects.filter(pk=int(chosen)).first() if chosen.isdecimal() else None
    if target is None:
        raise BadSettings("There is no such organisation.", which="organisation")
    field = answers.get("field") or card.details["field"]
    value = answers.get("value") if answers.get("field") else card.details["value"]
    rule = add_route(connection, field, value or "", target)
    return f"{FIELDS[field][0]} {rule.value} goes to {target.name}".replace("  ", " ")


def _company_of(card: Card) -> Company:
    blocked = card.blocked.select_related("document").first()
    wanted = str(card.details.get("company_id") or "")
    if blocked is None:
        raise BadSettings("This exception blocks nothing any more.", which="card")
    found = Company.objects.filter(
        connection=blocked.document.connection,
        external_id=wanted or blocked.document.company_external_id,
    ).first()
    if found is None:
        raise BadSettings("The company is not known any more.", which="card")
    return found


def _link_contact(card: Card, answers: Answers) -> str:
    organisation = _organisation(card)
    contact = Customer.objects.filter(
        organisation=organisation, external_id=answers["contact"]
    ).first()
    if contact is None:
        raise BadSettings(
            f"{organisation.name} has no such contact; force the contacts feed if it is new.",
            which="contact",
        )
    # Xero takes only active contacts on documents.
    # https://developer.xero.com/documentation/api/accounting/contacts
    if contact.state != "active":
        raise BadSettings(f"{contact.name} is archived; restore it first.", which="contact")
    company = _company_of(card)
    link_contact(organisation, company, contact.external_id, contact.name, how="person")
    return f"{company.name} is {contact.name}"


def _create_contact(card: Card, answers: Answers) -> str:
    organisation = _organisation(card)
    company = _company_of(card)
    books = open_books(organisation, Priority.INTERACTIVE)
    name = make_contact(organisation, company, answers.get("name", ""), books)
    return f"The contact {name} was created"


def _restore_contact(card: Card, answers: Answers) -> str:
    organisation = _organisation(card)
    books = open_books(organisation, Priority.INTERACTIVE)
    contact_id = card.details.get("contact_id", "")
    name = restore_contact(contact_id, books)
    # Asked for again: the mirror would say "archived" until the next poll, and hold the document
    # once more.
    fresh = books.get_contact(contact_id)
    with transaction.atomic():
        found = [fresh] if fresh is not None else []
        remember(organisation, prepare(organisation, found))
    return f"The contact {name or card.subject} was restored"


def _adopt(card: Card, answers: Answers) -> str:
    """Link the two; what differs is then brought to the PSA's state, if the books allow it."""
    organisation, document = _organisation(card), document_of(card)
    books_id = card.details.get("books_id", "")
    kind = books_kind(DocumentKind(document.kind), read_policy(organisation.settings))
    row = _other(organisation, kind, books_id)
    # Two documents of the PSA on one of the books would both count its money.
    if Link.objects.filter(organisation=organisation, books_id=books_id).exists():
        raise BadSettings("That document is linked to another one already.", which="card")
    # Linked to one that is void, it would count as posted and be owed by nobody.
    if row.status in (Status.VOIDED, Status.DELETED):
        raise BadSettings(f"{row.number} is {row.status} in the books.", which="card")
    same = row.total == document.total
    Link.objects.create(
        document=document,
        organisation=organisation,
        books_kind=kind,
        books_id=books_id,
        number=row.number,
        total=row.total,
        tax=row.tax,
        status=row.status,
        # With no fingerprint it counts as changed, and the next decision brings the difference up.
        fingerprint=document.fingerprint if same else "",
        how="adopted",
    )
    return f"{document.number} was linked to the document in {organisation.name}"


def _other(organisation: Organisation, kind: BooksKind, books_id: str) -> Any:
    """The document of the books: of the mirror, or asked for where the mirror has none (bills)."""
    found: Any
    if kind not in (BooksKind.INVOICE, BooksKind.CREDIT_NOTE):
        found = open_books(organisation, Priority.INTERACTIVE).get_document(kind, books_id)
    else:
        model = BillingCreditMemo if kind is BooksKind.CREDIT_NOTE else BillingInvoice
        found = model._default_manager.filter(
            organisation=organisation, external_id=books_id
        ).first()
    if found is None:
        raise BadSettings(
            "The other document has not been read yet; force the invoices feed.", which="card"
        )
    return found


def _post_anyway(card: Card, answers: Answers) -> str:
    """The person has looked: what the card says does not hold this document any more."""
    rows = list(Posting.objects.filter(document__in=card.blocked.values("document")))
    for posting in rows:
        # This code alone: whatever else is wrong with the document still holds it.
        posting.waived = sorted({*posting.waived, card.code})
        posting.save(update_fields=["waived"])
    if len(rows) > 1:
        return f"{len(rows)} documents are posted all the same"
    return f"{document_of(card).number} is posted all the same"


def _renumber(card: Card, answers: Answers) -> str:
    """Another number in the books, where the PSA's is taken by a document that is not this one."""
    organisation, document = _organisation(card), document_of(card)
    number = answers["number"].strip()
    if number == document.number:
        raise BadSettings("That is the number that is taken.", which="number")
    # Xero refuses a number twice in an organisation; said before it is sent.
    # https://developer.xero.com/documentation/api/accounting/invoices
    if BillingInvoice.objects.filter(organisation=organisation, number=number).exists():
        raise BadSettings(f"{organisation.name} has a document {number} already.", which="number")
    Posting.objects.filter(document=document).update(books_number=number)
    return f"{document.number} is posted as {number}"


def _blocked(card: Card) -> list[int]:
    return list(card.blocked.values_list("document_id", flat=True))


def _payments_apart(card: Card, answers: Answers) -> str:
    how = "The PSA's payment is entered beside the one in the books"
    service.answer(_blocked(card), f"{card.sentence} {how}.", apart=True)
    return how


def _payments_same(card: Card, answers: Answers) -> str:
    how = "The PSA's payment and the one in the books are the same"
    service.answer(_blocked(card), f"{card.sentence} {how}.", same=True)
    return how


def _enter_again(card: Card, answers: Answers) -> str:
    how = "The payment is entered in the books again"
    service.answer(_blocked(card), f"{card.sentence} {how}.", books_payment_id="")
    return how


def _apply_money(card: Card, answers: Answers) -> str:
    """The next reading then shows it to the PSA as every other payment of the books."""
    organisation = _organisation(card)
    books = open_books(organisation, Priority.INTERACTIVE)
    try:
        return unapplied.apply(card, answers["invoice"].strip(), books)
    finally:
        # Also after a lost answer: the reading tells what became of it.
        wake({(organisation.pk, name) for name in unapplied.FEEDS})


def _skip(card: Card, answers: Answers) -> str:
    how = "Skipped; nothing is posted."
    with transaction.atomic():
        # Closed first, so that the card keeps the list of what it had blocked.
        skip(resolve(card, actor(), how), actor())
    return how


def _read_settings(card: Card, answers: Answers) -> str:
    row = Feed.objects.filter(organisation=_organisation(card), name="settings").first()
    if row is not None:
        force.feed(row)
    return "The settings of the books are read again"


def _retry(card: Card, answers: Answers) -> str:
    feed_id = card.details.get("feed")
    row = Feed.objects.filter(pk=feed_id).first() if feed_id else None
    if row is not None:
        force.feed(row)
    elif card.topic == "connection":
        force.steps()
    return "Tried again"


# Offered only where the card says what they would do.
ANEW: dict[str, Repair] = {
    "credit_anew": Repair("Credit it and issue it anew", (), anew(Way.CREDIT)),
    "void_anew": Repair("Void it and issue it anew", (), anew(Way.VOID)),
    "credit_it": Repair("Credit it", (), anew(Way.CREDIT_ONLY)),
}
REPAIRS: dict[str, Repair] = {
    **ANEW,
    "end_reissue": Repair("End it there", (), end_reissue),
    "map_account": Repair("Map the account", ("target",), _map("account")),
    "map_tax": Repair("Map the tax rate", ("target",), _map("tax")),
    "map_tracking": Repair("Map the tracking option", ("target",), _map("tracking")),
    "map_payment": Repair("Map the account", ("target",), _map("payment")),
    "payments_same": Repair("They are one payment", (), _payments_same),
    "payments_apart": Repair("They are two payments: enter both", (), _payments_apart),
    "apply_money": Repair("Apply it to an invoice", ("invoice",), _apply_money),
    "enter_again": Repair("Enter it in the books again", (), _enter_again),
    "add_route": Repair("Add a route", ("organisation",), _add_route),
    "link_contact": Repair("Link the contact", ("contact",), _link_contact),
    "create_contact": Repair("Create the contact", (), _create_contact),
    "restore_contact": Repair("Restore the contact", (), _restore_contact),
    "adopt": Repair("They are the same: link them", (), _adopt),
    "post_anyway": Repair("Post it all the same", (), _post_anyway),
    "next_day": Repair("Post on the first open day", (), next_day),
    "renumber": Repair("Post it under another number", ("number",), _renumber),
    "accept_books": Repair("Keep the books as they are", (), accept_books),
    "accept_drift": Repair("Accept the books' version", (), accept_drift),
    "revert_drift": Repair("Write the PSA's version again", (), revert_drift),
    "make_rule": Repair("Make it the rule", (), make_rule),
    "repost": Repair("Post it again", (), repost),
    "skip": Repair("Skip", (), _skip),
    "read_settings": Repair("Read the settings again", (), _read_settings),
    "retry": Repair("Try again", (), _retry),
}
