"""What people at the desk entered in the PSA themselves: card payments, and a credit they gave."""

from datetime import timedelta
from decimal import Decimal

from psaltery.adapters.connectwise.sandbox import invoices, payments
from psaltery.adapters.connectwise.sandbox.drafts import NewInvoice, NewLine
from psaltery.adapters.sandboxing import Document
from psaltery.demo.cast import Part
from psaltery.demo.offices import TILL
from psaltery.demo.psa import Psa

# Who stands at the desk; the PSA's own name for a member.
MEMBER = "hmoreau"
CARDS = 4


def enter(psa: Psa) -> dict[str, int]:
    """Goods sold over the counter and paid by card, and a credit memo applied; how many of each.

    Invoices of their own: those of the history are paid in the books.
    """
    chance = psa.story.chance("takings")
    clients = [one for one in psa.with_part(Part.REGULAR) if one.customer.office == TILL]
    for ago in range(CARDS + 3, 3, -1):
        client = chance.choice(clients)
        sold = _sell(psa, client.row["id"], ago, "MON-27", chance.randint(1, 3))
        _take(psa, sold, ago, {"amount": sold["balance"], "type": "Card"})
    # One monitor of three came back: the memo is taken off what is owed, by a person.
    client = chance.choice(clients)
    sold = _sell(psa, client.row["id"], 5, "MON-27", 3)
    memo = _sell(psa, client.row["id"], 4, "MON-27", 1, memo=True)
    _take(psa, sold, 4, {"amount": -memo["balance"], "credit": {"id": memo["id"]}})
    psa.clock.moment = psa.story.now
    return {"cards": CARDS, "credits": 1}


def _sell(
    psa: Psa, company: int, ago: int, item: str, quantity: int, *, memo: bool = False
) -> Document:
    day = psa.story.day(ago)
    psa.clock.moment = psa.story.moment(day)
    made = NewInvoice(
        company=company,
        type="CreditMemo" if memo else "Standard",
        date=day.isoformat(),
        department="Procurement",
        lines=(NewLine(item=item, quantity=Decimal(quantity)),),
    )
    return invoices.create(psa.world, made)


def _take(psa: Psa, invoice: Document, ago: int, body: Document) -> None:
    """A little later on the same day."""
    psa.clock.moment = min(psa.clock.moment + timedelta(minutes=5), psa.story.now)
    day = {"paymentDate": f"{psa.story.day(ago)}T00:00:00Z"}
    payments.create(psa.world, invoice["id"], day | body, MEMBER)
