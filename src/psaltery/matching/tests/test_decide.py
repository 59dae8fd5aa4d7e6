"""What the PSA is to show as paid."""

from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from psaltery.matching.decide import (
    CreatePayment,
    DeletePayment,
    InStep,
    Part,
    Shown,
    UpdatePayment,
    decide,
)

NOTHING = Shown(payment_id="", amount=Decimal(0), paid_on=None)


def part(amount, day=2, touch="payment", **changes):
    return Part(
        external_id=f"p{amount}",
        touch=touch,
        amount=Decimal(amount),
        paid_on=date(2026, 10, day),
        **changes,
    )


def test_a_first_payment_is_created_with_its_parts_named():
    decision = decide([part("40"), part("60.50", 9, "credit_note", reference="CN-1")], NOTHING)
    assert isinstance(decision, CreatePayment)
    assert (decision.amount, decision.paid_on) == (Decimal("100.50"), date(2026, 10, 9))
    assert "payment 40.00 on 2026-10-02" in decision.note
    assert "credit note 60.50 on 2026-10-09 (CN-1)" in decision.note


def test_a_further_payment_changes_the_one_record():
    shown = Shown(payment_id="7", amount=Decimal("40.0000"), paid_on=date(2026, 10, 2))
    assert decide([part("40"), part("10", 3)], shown) == UpdatePayment(
        "7", Decimal(50), date(2026, 10, 3)
    )
    assert isinstance(decide([part("40")], shown), InStep)


def test_a_removed_payment_removes_the_record():
    shown = Shown(payment_id="7", amount=Decimal(40), paid_on=date(2026, 10, 2))
    assert decide([], shown) == DeletePayment("7")
    assert isinstance(decide([], NOTHING), InStep)


@given(st.lists(st.decimals(Decimal("0.01"), Decimal("99999"), places=2), max_size=8))
def test_deciding_again_after_the_write_finds_it_in_step(amounts):
    parts = [part(str(amount), 1 + place) for place, amount in enumerate(amounts)]
    decision = decide(parts, NOTHING)
    if isinstance(decision, CreatePayment):
        assert decision.amount == sum(amounts)
        shown = Shown(payment_id="1", amount=decision.amount, paid_on=decision.paid_on)
        assert isinstance(decide(parts, shown), InStep)
    else:
        assert not amounts
