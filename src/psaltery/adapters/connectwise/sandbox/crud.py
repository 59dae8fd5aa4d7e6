"""Reading and writing the records of any list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psaltery.adapters.connectwise.sandbox import listing
from psaltery.adapters.connectwise.sandbox.bodies import checked, patched
from psaltery.adapters.connectwise.sandbox.errors import not_found
from psaltery.adapters.connectwise.sandbox.fields import models, read
from psaltery.adapters.connectwise.sandbox.resources import Resource
from psaltery.adapters.connectwise.sandbox.rules import NO_RULES, RULES
from psaltery.adapters.connectwise.sandbox.world import World
from psaltery.adapters.sandboxing import Document


def rows(
    world: World, resource: Resource, parent: int, chosen: listing.Filter | None = None
) -> list[Document]:
    """The records of a list that a filter leaves.

    Raises 404 when the parent of a nested list does not exist.
    """
    chosen = chosen or listing.Filter((), {})
    if resource.rows is not None:
        return chosen.of(resource.rows(world, parent))
    if resource.parent is not None:
        collection, path = resource.parent
        world.get(collection, parent, resource.label)
        return chosen.of(world.having(resource.collection, path, [parent]))
    # Clients read the lines of many invoices at once; trying every line for that is too slow.
    for path, numbers in chosen.pins.items():
        if path.endswith("id"):
            return chosen.of(world.having(resource.collection, path, map(int, numbers)))
    return chosen.of(world.all(resource.collection))


def page(
    world: World, resource: Resource, parent: int, query: Mapping[str, str], address: str,
    *, forward_only: bool,
) -> listing.Page:  # fmt: skip
    """One page of a list, as its query asks."""
    model = models()[resource.model]
    found = rows(world, resource, parent, listing.filtered(query, model, world.behaviour.dialect))
    found = listing.ordered(found, query.get("orderBy", ""), model)
    cut = listing.cut(found, query, address, forward_only=forward_only)
    return listing.Page(listing.projected(cut.rows, query.get("fields", ""), model), cut.link)


def count(world: World, resource: Resource, parent: int, query: Mapping[str, str]) -> int:
    """How many records the query's conditions leave."""
    chosen = listing.filtered(query, models()[resource.model], world.behaviour.dialect)
    return len(rows(world, resource, parent, chosen))


def one(
    world: World, resource: Resource, parent: int, record_id: int, query: Mapping[str, str]
) -> Document:
    """One record. Raises 404 when it is not there, or under another parent."""
    found = _find(world, resource, parent, record_id)
    return listing.projected([found], query.get("fields", ""), models()[resource.model])[0]


def _find(world: World, resource: Resource, parent: int, record_id: int) -> Document:
    if resource.rows is not None:
        for row in resource.rows(world, parent):
            if row["id"] == record_id:
                return row
        raise not_found(resource.label, record_id)
    found = world.get(resource.collection, record_id, resource.label)
    if resource.parent and read(found, resource.parent[1]) != parent:
        raise not_found(resource.label, record_id)
    return found


def create(world: World, resource: Resource, parent: int, body: Any, member: str) -> Document:
    """A new record, completed by the rules of its collection."""
    if isinstance(body, dict):
        body = body | _parent_fields(world, resource, parent)
    row = checked(world, resource.model, resource.label, body)
    return _store(world, resource, row | {"id": world.next_id(resource.collection)}, None, member)


def replace(
    world: World, resource: Resource, parent: int, record_id: int, body: Any, member: str
) -> Document:
    """PUT: what the body leaves out becomes null."""
    before = _find(world, resource, parent, record_id)
    if isinstance(body, dict):
        body = body | _parent_fields(world, resource, parent)
    empty: Document = {name: None for name in before if name != "_info"}
    row = empty | checked(world, resource.model, resource.label, body)
    return _store(world, resource, row | {"id": record_id}, before, member)


def patch(
    world: World, resource: Resource, parent: int, record_id: int, body: Any, member: str
) -> Document:
    """PATCH: the operations applied to the record, then checked as a whole."""
    before = _find(world, resource, parent, record_id)
    row = patched(before, body, resource.label)
    # Only what changed is checked: an untouched reference may lead to a record long deleted.
    changed = {name: row[name] for name in row if row[name] != before.get(name)}
    fields = checked(world, resource.model, resource.label, changed, partial=True)
    return _store(world, resource, before | fields, before, member)


def delete(world: World, resource: Resource, parent: int, record_id: int, member: str) -> None:
    """Delete a record unless a rule forbids it."""
    row = _find(world, resource, parent, record_id)
    RULES.get(resource.collection, NO_RULES).leave(world, row, member)
    world.remove(resource.collection, row, member)


def _store(
    world: World, resource: Resource, row: Document, before: Document | None, member: str
) -> Document:
    rules = RULES.get(resource.collection, NO_RULES)
    saved = world.save(resource.collection, rules.prepare(world, row, before, member), member)
    return rules.settle(world, saved, member)


def _parent_fields(world: World, resource: Resource, parent: int) -> Document:
    if resource.parent is None:
        return {}
    collection, path = resource.parent
    world.get(collection, parent, resource.label)
    name, _, inner = path.partition("/")
    return {name: {inner: parent} if inner else parent}
