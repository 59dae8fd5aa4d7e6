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
    ShownPart,
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


def record(number, amount, day=2):
    made = part(amount, day)
    return ShownPart(
        payment_id=number, part=made.external_id, amount=made.amount, paid_on=made.paid_on
    )


def each(parts, *shown, payment_id=""):
    there = Shown(payment_id=payment_id, amount=Decimal(0), paid_on=None, parts=shown)
    return decide(parts, there, each=True)


def test_each_part_has_a_record_of_its_own():
    decision = each([part("40"), part("60", 9)], record("7", "40"))
    assert isinstance(decision, CreatePayment)
    assert (decision.amount, decision.paid_on, decision.part) == (60, date(2026, 10, 9), "p60")
    assert "40.00" not in decision.note
    assert isinstance(
        each([part("40"), part("60", 9)], record("7", "40"), record("8", "60", 9)), InStep
    )


def test_of_each_part_only_what_changed_is_written_and_what_went_is_removed_first():
    assert each([part("40", 5)], record("7", "40")) == UpdatePayment(
        "7", Decimal(40), date(2026, 10, 5)
    )
    assert each([part("60")], record("7", "40")) == DeletePayment("7")


def test_from_one_sum_to_each_part_and_back_the_money_is_never_there_twice():
    assert each([part("40")], payment_id="9") == DeletePayment("9")
    summed = Shown(payment_id="", amount=Decimal(0), paid_on=None, parts=(record("7", "40"),))
    assert decide([part("40")], summed) == DeletePayment("7")


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
