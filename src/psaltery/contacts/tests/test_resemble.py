"""When a contact and a company are surely the same, and when a person is asked."""

import pytest

from psaltery.contacts.resemble import (
    Contact,
    Firm,
    Firms,
    decide,
    domain_of,
    judge,
    similarity,
    tax_key,
)
from psaltery.kit.text import comparable_name


def contact(name, number=1, **more):
    return Contact(id=f"c{number}", name=name, key=comparable_name(name), **more)


def firm(name, number=1, domains=(), numbers=(), **more):
    return Firm(
        id=number, name=name, key=comparable_name(name), domains=frozenset(domains),
        numbers=frozenset(numbers), **more,
    )  # fmt: skip


def sure(contacts, firms, never=()):
    near = {one.id: [other.id for other in firms] for one in contacts}
    judged = decide(contacts, Firms(firms), near, frozenset(never))
    return {key: one.company for key, one in judged.sure.items()}, judged


def test_the_same_name_without_its_legal_form_is_sure():
    found, _ = sure([contact("Bénard Co. Pty Ltd")], [firm("benard"), firm("Other", 2)])
    assert found == {"c1": 1}


def test_two_companies_of_one_name_are_asked_about():
    found, judged = sure([contact("Harbour Ltd")], [firm("Harbour"), firm("Harbour Inc", 2)])
    assert found == {}
    assert [one.company for one in judged.open["c1"]] == [1, 2]


def test_two_contacts_of_one_name_are_asked_about():
    found, judged = sure([contact("Harbour"), contact("Harbour Ltd", 2)], [firm("Harbour")])
    assert found == {}
    assert set(judged.open) == {"c1", "c2"}


def test_a_number_identifies_and_beats_another_of_the_same_name():
    known = [firm("Harbour", numbers={"psa-7"}), firm("Harbour Ltd", 2)]
    found, _ = sure([contact("Harbour Ltd", contact_number="PSA-7")], known)
    assert found == {"c1": 1}


def test_a_tax_number_is_sure_beside_a_similar_name_only():
    renamed = contact("Northwind Traders", tax_number="ABN 51 824 753 556")
    known = [firm("Northwind Trading", tax_number="51824753556")]
    assert sure([renamed], known)[0] == {"c1": 1}
    other = [firm("Zeta Holdings", tax_number="51824753556")]
    found, judged = sure([renamed], other)
    assert found == {}
    assert judged.open["c1"][0].why == ("tax",)


def test_another_tax_number_contradicts_the_same_name():
    ours = contact("Harbour", tax_number="51824753556")
    found, judged = sure([ours], [firm("Harbour", tax_number="11111111111")])
    assert found == {}
    assert judged.open["c1"][0].score < 40


def test_a_domain_is_sure_beside_a_similar_name_and_free_mail_tells_nothing():
    mail = contact("Blue Gum Dental", email="accounts@bluegum.example")
    assert sure([mail], [firm("Blue Gum Dental Care", domains={"bluegum.example"})])[0] == {"c1": 1}
    assert sure([mail], [firm("Smile Group", domains={"bluegum.example"})])[0] == {}
    assert domain_of("someone@Gmail.com") == ""
    assert domain_of("https://www.BlueGum.example/about") == "bluegum.example"


def test_a_pair_that_was_taken_apart_is_only_suggested():
    ours, theirs = contact("Harbour"), firm("Harbour")
    found, judged = sure([ours], [theirs], never={("c1", 1)})
    assert found == {}
    assert judged.open["c1"][0].company == 1


def test_what_resembles_nothing_is_not_suggested():
    found, judged = sure([contact("Quartz")], [firm("Meadow")])
    assert (found, judged.open) == ({}, {})


@pytest.mark.parametrize(("text", "key"), [("ABN 51 824 753 556", "51824753556"), ("12-34", "")])
def test_tax_numbers_are_compared_by_their_digits(text, key):
    assert tax_key(text) == key


def test_similarity_is_that_of_the_database():
    # SELECT similarity('word', 'two words') is 0.36363637.
    assert similarity("word", "two words") == 36
    assert judge(contact("Harbour"), firm("Harbour")).score == 55
