"""Contacts and organisations against the sandbox: found, taken, archived, merged."""

from psaltery.adapters.xero.books import XeroConsent
from psaltery.adapters.xero.tests.world import World, draft
from psaltery.records.drafts import (
    Action,
    ContactDraft,
)


def test_contacts_are_found_by_name_and_number(world: World) -> None:
    odd = 'Dr "Bob" O\'Neill & Söhne, Ltd'
    quoted = world.contact(odd, contact_number="PSA-77")
    plain = world.contact("Plain Dental")
    world.edit("Contacts", plain, ContactStatus="ARCHIVED")
    found = world.books.find_contacts(names=[odd, "plain dental", "Nobody at all"])
    assert {one.external_id for one in found} == {quoted, plain}
    assert {one.external_id: one.state for one in found}[plain] == "archived"
    (numbered,) = world.books.find_contacts(contact_numbers=["PSA-77", "PSA-none"])
    assert numbered.external_id == quoted
    assert world.books.get_contact("0d1e0000-0000-4000-8000-00000000dead") is None


def test_too_costly_a_search_goes_one_by_one(world: World) -> None:
    wanted = world.contact("Costly Dental", contact_number="PSA-C")
    world.control("organisations", tenant=world.tenant, settings={"high_volume": 1})
    try:
        found = world.books.find_contacts(contact_numbers=["PSA-C", "PSA-none"])
        assert [one.external_id for one in found] == [wanted]
    finally:
        world.control("organisations", tenant=world.tenant, settings={"high_volume": 100_000})


def test_an_archived_contact_blocks_until_it_is_restored(world: World) -> None:
    customer = world.contact("Sleeping Dental")
    world.edit("Contacts", customer, ContactStatus="ARCHIVED")
    (refused,) = world.create(draft("S-1", customer))
    assert [problem.code for problem in refused.problems] == ["contact_archived"]
    restored = ContactDraft(name="Sleeping Dental", external_id=customer, restore=True)
    (answer,) = world.books.send([world.books.prepare(Action.UPDATE, restored)], "restore S")
    assert answer.accepted
    (made,) = world.create(draft("S-2", customer))
    assert made.accepted


def test_a_name_is_taken_once(world: World) -> None:
    world.contact("Only Dental")
    prepared = world.books.prepare(Action.CREATE, ContactDraft(name="Only Dental"))
    (refused,) = world.books.send([prepared], "only again")
    (problem,) = refused.problems
    assert (problem.code, problem.subject) == ("contact_name_taken", "Only Dental")


def test_a_merged_contact_points_to_the_survivor(world: World) -> None:
    loser, winner = world.contact("Loser Dental"), world.contact("Winner Dental")
    world.control("merge_contact", tenant=world.tenant, loser=loser, winner=winner)
    merged = world.books.get_contact(loser)
    assert merged is not None
    assert merged.merged_into == winner


def test_tenants_leave_the_practice_out_and_can_be_removed(world: World) -> None:
    consent = XeroConsent(world.caller())
    tenants = consent.tenants()
    expected = {tenant["tenantId"] for tenant in world.sandbox.organisations()}
    assert {tenant.external_id for tenant in tenants} == expected
    second = next(tenant for tenant in tenants if tenant.external_id != world.tenant)
    consent.remove_tenant(second)
    consent.remove_tenant(second)
    assert second.external_id not in {tenant.external_id for tenant in consent.tenants()}
