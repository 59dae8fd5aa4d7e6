"""One office with its books: what people and Psaltery do there, step by step."""

from decimal import Decimal
from typing import Any

from psaltery.connections.models import Feed, Organisation
from psaltery.posting.models import Link, Posting
from psaltery.sync.repairs import repair
from psaltery.testing.http_calls import call
from psaltery.testing.rig import Rig
from psaltery.testing.situations import at, open_cards, states, the_card, with_few_feeds
from psaltery.testing.tallies import contacts_of_books, posted_once

PERSON = "robin@example.test"


def with_one_office(rig: Rig) -> Rig:
    """The rig with Sydney's books alone, read once."""
    rig.organisations = [at(rig, "Sydney")]
    others = Organisation.objects.exclude(pk__in=[rig.site.pk, rig.organisations[0].pk])
    Feed.objects.filter(organisation__in=others).delete()
    with_few_feeds(rig)
    rig.sync()
    rig.organisations[0].refresh_from_db()
    return rig


def sydney(rig: Rig) -> Organisation:
    """The only organisation of the books."""
    return rig.organisations[0]


def read(rig: Rig, organisation: Organisation, *names: str) -> None:
    """Feeds of an organisation, to their end."""
    for feed in Feed.objects.filter(organisation=organisation, name__in=names):
        rig.read(feed)


def post_unread(rig: Rig) -> None:
    """Posts what was closed, while what somebody did in the books has not been read yet."""
    read(rig, rig.site, "companies", "invoices")
    rig.work()


def settled(rig: Rig, *made: Any) -> None:
    """Asserts that these are in the books, each once and to the cent, and that no card is open."""
    assert states() == {row["invoiceNumber"]: "in_step" for row in made}, list(
        Posting.objects.values_list("why", flat=True)
    )
    assert open_cards() == {}
    posted_once(rig.books_url, list(made))


def mend(rig: Rig, code: str, name: str, **answers: str) -> None:
    """The repair of the only card, and what it releases."""
    repair(the_card(code), name, answers, PERSON)
    rig.work()


def hand(rig: Rig, path: str, body: Any, method: str = "PUT") -> Any:
    """The bookkeeper's own work."""
    return rig.write_books(sydney(rig), path, body, method)[path.partition("/")[0]][0]


def edit(rig: Rig, kind: str, identifier: str, **changes: Any) -> None:
    """Somebody changes something in the books, unchecked."""
    body = {"tenant": sydney(rig).external_id, "kind": kind, "id": identifier}
    call(f"{rig.books_url}/_control/edit", "POST", {**body, "changes": changes, "raw": True})


def company(rig: Rig) -> Any:
    """The customer of the office, as the PSA has it."""
    wanted = rig.companies("Sydney")[0]
    return next(row for row in rig.psa_documents("companies") if row["id"] == wanted)


def books_of(rig: Rig, link: Link) -> Any:
    """An invoice as the books have it now."""
    return rig.in_books(link.organisation, f"Invoices/{link.books_id}")["Invoices"][0]


def contacts(rig: Rig) -> dict[str, Any]:
    """The contacts of the office by name, as the sandbox keeps them."""
    rows = contacts_of_books(rig.books_url)[f"{sydney(rig).external_id}/Contacts"]
    return {row["Name"]: row for row in rows}


def by_hand(rig: Rig, number: str, amount: Decimal | str, **more: Any) -> Any:
    """An invoice that the bookkeeper has entered; `amount` before tax."""
    line = {"Description": "x", "Quantity": 1, "UnitAmount": str(amount), "AccountCode": "200"}
    body = {
        "Type": "ACCREC",
        "InvoiceNumber": number,
        "Status": "AUTHORISED",
        "Date": "2026-11-02",
        "DueDate": "2026-11-16",
        "LineItems": [{**line, "TaxType": "OUTPUT"}],
        **more,
    }
    return hand(rig, "Invoices", body)


def lock(rig: Rig, until: str | None) -> None:
    """The bookkeeper sets or removes the lock date."""
    body = {"tenant": sydney(rig).external_id, "PeriodLockDate": until}
    call(f"{rig.books_url}/_control/organisations", "POST", body)
