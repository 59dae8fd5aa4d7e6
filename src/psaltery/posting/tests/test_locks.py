"""Locked periods: what waits, what goes on the first open day, what is never touched."""

from datetime import date

import pytest

from psaltery.posting import decide as d
from psaltery.posting import locks
from psaltery.posting.policy import Policy
from psaltery.posting.tests.test_decide import book, codes, document, linked, situation
from psaltery.records.books import Status

LOCK = date(2026, 10, 31)


def locked_book(lock, **changes):
    return book(locked_until=LOCK, policy=Policy(lock=lock), **changes)


@pytest.mark.parametrize(
    ("lock", "status"), [("draft", Status.DRAFT), ("next_day", Status.AUTHORISED)]
)
def test_a_locked_document_goes_on_the_first_open_day_by_policy(lock, status):
    made = d.decide(situation(book=locked_book(lock)))
    assert isinstance(made, d.Create)
    assert (made.draft.issued_on, made.draft.status) == (date(2026, 11, 1), status)
    assert made.draft.moved_from == date(2026, 10, 2)
    assert made.draft.reference.endswith("(PSA date 02 Oct 2026)")
    assert made.draft.due_on >= made.draft.issued_on
    assert "first open day" in made.trace["issued_on"]


def test_a_person_may_let_one_locked_document_go():
    held = situation(book=locked_book("hold"))
    assert codes(d.decide(held)) == ["period_locked"]
    let = d.decide(situation(book=locked_book("hold"), waived=frozenset({"period_locked"})))
    assert isinstance(let, d.Create)
    assert let.draft.issued_on == date(2026, 11, 1)


def test_a_moved_document_keeps_its_day_and_its_state_when_it_is_edited():
    first = d.decide(situation(book=locked_book("draft"))).draft
    link = linked(posted=first, status=Status.DRAFT, fingerprint="before")
    edited = situation(
        document(customer_po="PO 2"), book=locked_book("next_day"), link=link, fingerprint="now"
    )
    again = d.decide(edited)
    assert isinstance(again, d.Update)
    assert (again.draft.issued_on, again.draft.status) == (date(2026, 11, 1), Status.DRAFT)


@pytest.mark.parametrize("lock", ["hold", "draft", "next_day"])
@pytest.mark.parametrize("gone", [False, True])
def test_what_was_locked_after_it_was_posted_is_never_touched(lock, gone):
    posted = d.decide(situation()).draft
    link = linked(posted=posted, fingerprint="before")
    later = situation(
        document(customer_po="PO 2"),
        book=locked_book(lock),
        link=link,
        fingerprint="now",
        gone=gone,
    )
    assert codes(d.decide(later)) == ["locked_edit"]


def test_the_next_lock_is_the_end_of_the_first_open_month_or_the_chosen_day():
    today = date(2026, 11, 22)
    assert locks.next_lock(None, None, today) == date(2026, 10, 31)
    assert locks.next_lock(date(2026, 9, 30), None, today) == date(2026, 10, 31)
    assert locks.next_lock(date(2026, 10, 31), None, today) == date(2026, 11, 30)
    assert locks.next_lock(date(2026, 10, 31), date(2026, 12, 31), today) == date(2026, 12, 31)
    assert locks.next_lock(date(2026, 12, 31), date(2026, 12, 31), today) == date(2027, 1, 31)
