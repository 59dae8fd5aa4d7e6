"""Which invoices some money may be for."""

from datetime import date
from decimal import Decimal

import pytest

from psaltery.matching.unapplied.decide import AMOUNT, NUMBER, Money, Open, rank


def invoice(number: str, due: str, day: int = 1, currency: str = "AUD") -> Open:
    return Open(
        invoice=f"id-{number}",
        document=day,
        number=number,
        due=Decimal(due),
        currency=currency,
        issued_on=date(2026, 10, day),
    )


def money(left: str, reference: str = "") -> Money:
    return Money(left=Decimal(left), currency="AUD", reference=reference)


def numbers(found):
    return [one.open.number for one in found]


def test_number_goes_before_amount_and_amount_before_age():
    invoices = [
        invoice("INV-1", "10"),
        invoice("INV-2", "115.00", 3),
        invoice("INV-3", "99", 4),
        invoice("INV-4", "115", 2),
    ]
    found = rank(money("115", "thank you inv-3!"), invoices)
    assert numbers(found) == ["INV-3", "INV-4", "INV-2", "INV-1"]
    assert [one.speaks for one in found] == [(NUMBER,), (AMOUNT,), (AMOUNT,), ()]
    assert found[0].why == "its number is in the reference"


def test_as_much_is_applied_as_both_have_left():
    found = rank(money("50"), [invoice("INV-1", "20"), invoice("INV-2", "80", 2)])
    assert [one.amount for one in found] == [20, 50]


@pytest.mark.parametrize("reference", ["INV-10", "XINV-1", "1"])
def test_a_number_within_a_longer_one_says_nothing(reference: str):
    (found,) = rank(money("5", reference), [invoice("INV-1", "7")])
    assert found.speaks == ()


def test_another_currency_and_what_is_settled_are_no_candidates():
    assert rank(money("5"), [invoice("A", "5", currency="NZD"), invoice("B", "0")]) == []
