"""The explanation adds up, whatever stands on either side, and each cause has its moment."""

from collections import defaultdict
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from psaltery.matching.tieout.causes import LABELS, Cause
from psaltery.matching.tieout.decide import BooksSide, Pair, PsaSide, Settled, explain

INVOICE = PsaSide(
    number="4711", kind="invoice", customer="acme", currency="AUD",
    total=Decimal(110), balance=Decimal(110), state="in_step",
)  # fmt: skip
THERE = BooksSide(
    number="4711", kind="invoice", customer="acme", currency="AUD", status="authorised",
    total=Decimal(110), due=Decimal(110),
)  # fmt: skip

amounts = st.decimals(-50, 5000, places=2)
money = st.decimals(-500, 500, places=2)
customers = st.sampled_from(["acme", "bay"])
currencies = st.sampled_from(["AUD", "NZD"])
psa_sides = st.builds(
    PsaSide,
    number=st.just("4711"),
    kind=st.sampled_from(["invoice", "credit_memo"]),
    customer=customers,
    currency=currencies,
    total=amounts,
    balance=amounts,
    closed=st.booleans(),
    gone=st.booleans(),
    state=st.sampled_from(["", "waiting", "held", "failed", "uncertain", "skipped", "in_step"]),
    why=st.sampled_from(["", "It waits."]),
)
books_sides = st.builds(
    BooksSide,
    number=st.just("4711"),
    kind=st.sampled_from(["invoice", "credit_note", "overpayment", "prepayment"]),
    customer=customers,
    currency=currencies,
    status=st.sampled_from(["authorised", "paid", "draft", "submitted", "voided", "deleted"]),
    total=amounts,
    due=amounts,
)
settlements = st.builds(
    Settled,
    shown=money,
    reached=money,
    elsewhere=money,
    unread=money,
    unseen=money,
    moving=st.booleans(),
)


@st.composite
def pairs(draw):
    which = draw(st.sampled_from(["both", "psa", "books"]))
    psa = draw(psa_sides) if which != "books" else None
    books = draw(books_sides) if which != "psa" else None
    if psa and books:
        # A link never joins an invoice to a credit note.
        kind = "credit_note" if psa.kind == "credit_memo" else "invoice"
        books = replace(books, kind=kind)
    return Pair(
        psa=psa,
        books=books,
        linked=which == "both" or (which == "psa" and draw(st.booleans())),
        read_since=draw(st.booleans()),
        settled=draw(settlements),
    )


@given(st.lists(pairs(), max_size=8))
def test_the_parts_add_up_to_each_customers_difference(many):
    apart, explained = defaultdict(Decimal), defaultdict(Decimal)
    for pair in many:
        if pair.psa:
            apart[pair.psa.customer, pair.psa.currency] += pair.psa.counted
        if pair.books:
            apart[pair.books.customer, pair.books.currency] -= pair.books.counted
        for part in explain(pair):
            assert part.amount
            assert part.sentence
            explained[part.customer, part.currency] += part.amount
    for key in {*apart, *explained}:
        assert apart[key] == explained[key]


@given(pairs())
def test_nothing_is_said_where_both_sides_agree(pair):
    psa, books = pair.psa, pair.books
    if psa and books and psa.counted == books.counted and psa.currency == books.currency:
        causes = {part.cause for part in explain(pair)}
        assert causes <= {Cause.OTHER_CUSTOMER}


def one(pair: Pair) -> tuple[Cause, Decimal]:
    (part,) = explain(pair)
    return part.cause, part.amount


@pytest.mark.parametrize(
    ("psa", "books", "settled", "expected"),
    [
        ({}, {"status": "voided"}, {}, ("voided", 110)),
        ({}, {"status": "draft"}, {}, ("draft", 110)),
        ({"gone": True}, {}, {}, ("gone", -110)),
        ({"closed": False}, {}, {}, ("reopened", -110)),
        ({"total": 120, "balance": 120}, {}, {}, ("total", 10)),
        ({}, {"due": 40}, {"reached": 70, "moving": True}, ("payment_not_back", 70)),
        ({}, {"due": 40}, {"reached": 70, "unreconciled": 70}, ("not_reconciled", 70)),
        ({}, {"due": 40}, {"unread": 70}, ("not_read", 70)),
        ({}, {"due": 40}, {"reached": 70, "shown": 70}, ("unexplained", 70)),
        ({}, {"due": 40}, {"reached": 70, "shown": 70, "unseen": 70}, ("not_read", 70)),
        ({"balance": 40}, {}, {"shown": 70, "moving": True}, ("payment_not_back", -70)),
        ({"balance": 40}, {}, {}, ("paid_in_psa", -70)),
        ({"kind": "credit_memo"}, {"kind": "credit_note", "due": 60}, {"elsewhere": 50},
         ("credit_elsewhere", -50)),
        ({"kind": "credit_memo"}, {"kind": "credit_note", "due": 60}, {}, ("unexplained", -50)),
        ({"kind": "credit_memo", "balance": 60}, {"kind": "credit_note"}, {},
         ("paid_in_psa", 50)),
    ],
)  # fmt: skip
def test_each_cause(psa, books, settled, expected):
    def decimals(values):
        return {k: Decimal(v) if type(v) is int else v for k, v in values.items()}

    pair = Pair(
        psa=replace(INVOICE, **decimals(psa)),
        books=replace(THERE, **decimals(books)),
        linked=True,
        settled=Settled(**decimals(settled)),
    )
    assert one(pair) == expected


def test_a_lost_payment_is_not_hidden_by_one_that_is_on_its_way():
    pair = Pair(
        psa=INVOICE,
        books=replace(THERE, due=Decimal(10)),
        linked=True,
        settled=Settled(shown=Decimal(70), reached=Decimal(100), moving=True),
    )
    found = {part.cause: part.amount for part in explain(pair)}
    assert found == {Cause.PAYMENT_NOT_BACK: 30, Cause.UNEXPLAINED: 70}


@pytest.mark.parametrize(
    ("state", "cause"),
    [("held", "held"), ("failed", "held"), ("skipped", "skipped"), ("posting", "waiting"),
     ("", "waiting"), ("in_step", "unexplained")],
)  # fmt: skip
def test_what_only_the_psa_has(state, cause):
    assert one(Pair(psa=replace(INVOICE, state=state))) == (cause, 110)


def test_a_posted_document_is_missed_only_after_the_books_were_read():
    assert one(Pair(psa=INVOICE, linked=True)) == ("not_read", 110)
    assert one(Pair(psa=INVOICE, linked=True, read_since=True)) == ("unexplained", 110)


@pytest.mark.parametrize(
    ("kind", "cause", "amount"),
    [("invoice", "books_only", -110), ("credit_note", "books_credit", 110),
     ("overpayment", "unapplied", 110)],
)  # fmt: skip
def test_what_only_the_books_have(kind, cause, amount):
    assert one(Pair(books=replace(THERE, kind=kind))) == (cause, amount)


def test_two_customers_and_two_currencies():
    away = Pair(psa=INVOICE, books=replace(THERE, customer="bay"), linked=True)
    found = {part.customer: (part.cause, part.amount) for part in explain(away)}
    assert found == {"acme": ("other_customer", 110), "bay": ("other_customer", -110)}
    foreign = Pair(psa=INVOICE, books=replace(THERE, currency="NZD"), linked=True)
    found = {part.currency: (part.cause, part.amount) for part in explain(foreign)}
    assert found == {"AUD": ("currency", 110), "NZD": ("currency", -110)}


def test_every_cause_has_words():
    assert set(LABELS) == set(Cause)
