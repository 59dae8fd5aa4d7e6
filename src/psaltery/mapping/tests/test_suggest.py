"""Suggestions learned from documents that the books had already. Pure."""

from decimal import Decimal

import pytest

from psaltery.mapping.suggest import BooksLine, History, Suggestion, paired, suggestions
from psaltery.records.psa import DocumentLine

ZERO = Decimal(0)


def psa(amount, description="", **more):
    values = {"key": f"{amount}{description}", "source": "product", "quantity": ZERO}
    values |= {"unit_price": ZERO, "tax_code": "GST"}
    return DocumentLine(amount=Decimal(amount), description=description, **values | more)


def books(amount, code="230", description="", tax="OUTPUT"):
    return BooksLine(Decimal(amount), description, code, tax)


def test_lines_are_paired_by_amounts_that_are_once_on_either_side():
    history = History(
        (psa("10", "a"), psa("20", "b"), psa("20", "c"), psa("30", "d")),
        (books("20", "1", "C "), books("10.00", "2"), books("20", "3", "b"), books("99", "4", "e")),
    )
    found = {line.description: other.account_code for line, other in paired(history)}
    assert found == {"a": "2", "c": "1", "b": "3"}


def test_what_was_chosen_often_and_alike_is_suggested():
    lines = [("230", 9), ("200", 1)]
    histories = [
        History((psa("10", category="Hardware", product="FW"),), (books("10", code),))
        for code, times in lines
        for _ in range(times)
    ]
    found = suggestions("account", histories)
    assert found["category", "hardware"] == Suggestion("230", 9, 10)
    assert found["product", "fw"] == Suggestion("230", 9, 10)
    assert ("any", "") not in found


@pytest.mark.parametrize("codes", [["230"], ["230", "200"], ["230", "230", "200"], ["", ""]])
def test_too_few_or_too_different_cases_suggest_nothing(codes):
    histories = [History((psa("10", product="FW"),), (books("10", code),)) for code in codes]
    assert suggestions("account", histories) == {}


def test_tax_rates_are_learned_too():
    histories = [
        History((psa("10"), psa("5", taxable=False)), (books("10"), books("5", tax="EXEMPTOUTPUT")))
        for _ in range(3)
    ]
    found = suggestions("tax", histories)
    assert found["tax_code", "gst"] == Suggestion("OUTPUT", 3, 3)
    assert found["exempt", ""] == Suggestion("EXEMPTOUTPUT", 3, 3)
