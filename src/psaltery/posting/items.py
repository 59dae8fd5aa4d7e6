"""Products as items of the books: made when a line needs one, kept in step with the catalogue.

An item's code is unique in the books, so that one whose answer was lost is found by it and a second
one is refused. What a bookkeeper had made before is used and never changed.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from django.db import transaction

from psaltery.adapters.contract import Books
from psaltery.adapters.errors import BadSettings, Rejected
from psaltery.audit.service import Decision as Told
from psaltery.audit.service import record_change, record_decisions
from psaltery.connections.models import Organisation
from psaltery.desk.models import Lookup
from psaltery.kit.clock import now
from psaltery.kit.hashing import content_hash
from psaltery.mapping.service import source
from psaltery.posting.attempts import Write, keep_on_hold
from psaltery.posting.models import Item
from psaltery.posting.policy import read_policy
from psaltery.records.drafts import Action, DraftLine, ItemDraft, ItemSide, Outcome, Problem
from psaltery.records.psa import PURCHASES
from psaltery.review.reasons import Reason

_State = Item.State
CHOSEN = "chosen"
# What the catalogue says of a product: name, description, price.
Known = tuple[str, str, Decimal | None]


def with_items(
    organisation: Organisation, writes: Sequence[Write], books: Books
) -> tuple[list[Write], int]:
    """The writes whose items are in the books (now), and how many others were held.

    Raises the failures of the books; nothing is written of the documents then.
    """
    needed = {product: (line, write) for write in writes for product, line in _products(write)}
    if not needed:
        return list(writes), 0
    items = _wanted(organisation, needed)
    # Before the documents: one that names a code which the books don't know is refused.
    _make([item for item in items if not _is_settled(item)], books)
    refused = {item.code: item for item in items if item.state == _State.HELD}
    ready = [write for write in writes if not _codes(write) & set(refused)]
    for write in writes:
        if blocked := _codes(write) & set(refused):
            _hold(organisation, write, [refused[code] for code in sorted(blocked)])
    return ready, len(writes) - len(ready)


def _products(write: Write) -> Iterable[tuple[str, DraftLine]]:
    """The products of a document with the line that each has become."""
    lines = {line.item_code: line for line in write.draft.lines if line.item_code}
    book = write.planned.situation.book
    for one in write.planned.situation.document.lines:
        line = lines.get(book.item_of(one.product)) if one.product else None
        if line is not None:
            yield one.product, line


def _codes(write: Write) -> set[str]:
    return {line.item_code for line in write.draft.lines if line.item_code}


def _wanted(
    organisation: Organisation, needed: Mapping[str, tuple[DraftLine, Write]]
) -> list[Item]:
    """A row for each item that is needed, with the account and tax of the line that needs it."""
    codes = {product: line.item_code for product, (line, _) in needed.items()}
    mine = Item.objects.filter(organisation=organisation)
    rows = {row.product: row for row in mine.filter(product__in=needed)}
    # Two products that are written alike but for blanks have one code, and are one item.
    alike = {row.code: row for row in mine.filter(code__in=codes.values()).exclude(how=CHOSEN)}
    known = _catalogue(needed)
    items: dict[str, Item] = {}
    for product, (line, write) in needed.items():
        code = codes[product]
        item = items.get(code) or rows.get(product) or alike.get(code)
        item = item or Item(organisation=organisation, product=product, code=code)
        items[code] = item
        side = "purchase" if write.planned.situation.document.kind in PURCHASES else "sales"
        # Only the first time: later changes of a mapping must not move what an item is booked to.
        if not getattr(item, side):
            setattr(item, side, {"account_code": line.account_code, "tax_type": line.tax_type})
        _describe(item, known.get(product), line.description)
    return list(items.values())


def _catalogue(products: Iterable[str]) -> dict[str, Known]:
    rows = Lookup.objects.filter(list="catalog_items", code__in=list(products))
    return {
        row.code: (
            row.details.get("description") or row.name,
            row.details.get("description", ""),
            _price(row.details),
        )
        for row in rows
    }


def _price(details: Mapping[str, Any]) -> Decimal | None:
    try:
        return Decimal(str(details["price"]))
    except (KeyError, InvalidOperation):
        return None


def _describe(item: Item, known: Known | None, line: str = "") -> None:
    """What the catalogue says; of a product that is not in it, what its line says."""
    if known is not None:
        item.name, item.description, item.price = known
    elif not item.name:
        item.name, item.description = line or item.product, line


def _draft(item: Item) -> ItemDraft:
    def side(given: Mapping[str, str], price: Decimal | None) -> ItemSide | None:
        return ItemSide(**given, price=price) if given else None

    return ItemDraft(
        code=item.code,
        name=item.name or item.product,
        description=item.description,
        sales=side(item.sales, item.price),
        purchase=side(item.purchase, None),  # what it costs differs with each order
        external_id=item.books_id,
    )


def _mark(item: Item) -> str:
    """A hash of what the books are to show."""
    return content_hash(msgspec.to_builtins(msgspec.structs.replace(_draft(item), external_id="")))


def _is_settled(item: Item) -> bool:
    theirs = item.how in ("found", CHOSEN)
    return bool(item.books_id) and (theirs or item.written == _mark(item))


def _make(items: Sequence[Item], books: Books) -> None:
    """Create what the books lack, bring the rest in step; every row says how it ended."""
    fresh = [item for item in items if not item.books_id]
    found = {one.number.casefold(): one for one in books.find_items([item.code for item in fresh])}
    for item in fresh:
        if one := found.get(item.code.casefold()):
            # One that we had asked for before is ours: its answer was lost.
            ours = "created" if item.pk else "found"
            item.books_id, item.how = one.external_id, CHOSEN if item.how == CHOSEN else ours
        # A bookkeeper's own: used as it is, and never brought in step with the catalogue.
        if item.how == "found" or (item.how == CHOSEN and one):
            item.state, item.why = _State.IN_STEP, ""
        elif item.how == CHOSEN:
            item.state = _State.HELD
            item.why = "It is not there any more: choose another item for the product."
        item.save()
    # Never made: somebody chose it because it was there.
    items = [item for item in items if item.how != CHOSEN and not _is_settled(item)]
    for action in (Action.CREATE, Action.UPDATE):
        some = [item for item in items if bool(item.books_id) == (action is Action.UPDATE)]
        for start in range(0, len(some), books.batch_size):
            _send(some[start : start + books.batch_size], action, books)


def _send(items: Sequence[Item], action: Action, books: Books) -> None:
    elements = [books.prepare(action, _draft(item)) for item in items]
    try:
        outcomes = books.send(elements, str(uuid.uuid4()))
    except Rejected as failure:
        # Some may have been made all the same: they are looked up by their codes the next time.
        outcomes = tuple(Outcome(accepted=False, problems=failure.problems) for _ in items)
    with transaction.atomic():
        for item, outcome in zip(items, outcomes, strict=True):
            _answered(item, outcome, action)
        record_decisions([(source(item.organisation), _told(item, action)) for item in items])


def _answered(item: Item, outcome: Outcome, action: Action) -> None:
    if outcome.accepted:
        item.books_id = outcome.external_id
        # Kept where it was found: who made it decides for good whether we may change it.
        item.how = item.how or "created"
        item.written, item.state, item.why = _mark(item), _State.IN_STEP, ""
    else:
        item.state, item.why = _State.HELD, " ".join(p.message for p in outcome.problems)
        # It is known no more by this id, or somebody else made it: looked up the next time.
        item.books_id = ""
    item.save()


def _told(item: Item, action: Action) -> Told:
    done = "created" if action is Action.CREATE else "updated"
    sentence = f"The item {item.code} was {done} in {item.organisation.name}."
    if item.state == _State.HELD:
        sentence = f"{item.organisation.name} refused the item {item.code}: {item.why}"
    return Told(
        sentence=sentence,
        operation=f"item.{action}",
        documents=(item.code,),
        failed=item.state == _State.HELD,
    )


def _hold(organisation: Organisation, write: Write, items: Sequence[Item]) -> None:
    with transaction.atomic():
        keep_on_hold(write.planned.row, organisation, [_reason(item) for item in items])


def _reason(item: Item) -> Reason:
    return Reason(
        code="item_invalid",
        about=f"item:{item.code}",
        subject=item.code,
        sentence=f"{item.organisation.name} refused the item {item.code}: {item.why}",
        details={"product": item.product},
    )


def choose(organisation: Organisation, product: str, code: str, books: Books) -> str:
    """From now on lines of a product name this item of the books; its code as the books write it.

    With no code the product has an item of its own again, made when a line next needs it. Raises
    BadSettings where the product or the item is not known, and the failures of the books.
    """
    product, code = product.strip(), code.strip()
    _check_product(organisation, product)
    found = books.find_items([code]) if code else ()
    if code and not found:
        raise BadSettings(f"{organisation.name} has no item “{code}”.", which="code")
    with transaction.atomic():
        rows = Item.objects.filter(organisation=organisation, product=product)
        if not code:
            rows.filter(how=CHOSEN).delete()
            sentence = f"{product} has an item of its own in {organisation.name} again."
        else:
            chosen = {"code": found[0].number, "books_id": found[0].external_id, "how": CHOSEN}
            settled = {"state": _State.IN_STEP, "why": "", "written": ""}
            rows.update_or_create(
                organisation=organisation, product=product, defaults=chosen | settled
            )
            sentence = f"{product} is the item {found[0].number} in {organisation.name}."
        record_change(sentence, source=source(organisation), operation="item.choose")
    return sentence


def _check_product(organisation: Organisation, product: str) -> None:
    """Raises BadSettings where nobody sells such a product: a slip would never match a line."""
    known = Item.objects.filter(organisation=organisation, product=product).exists()
    if not known and not Lookup.objects.filter(list="catalog_items", code=product).exists():
        raise BadSettings(f"The PSA has no product “{product}”.", which="product")


def forget(organisation: Organisation, problems: Sequence[Problem]) -> None:
    """The books don't know these items any more: they are made again with the next document."""
    codes = [one.subject for one in problems if one.code == "item_invalid" and one.subject]
    if codes:
        rows = Item.objects.filter(organisation=organisation, code__in=codes)
        rows.update(books_id="", written="", state=_State.WANTED, changed_at=now())


def keep_in_step(organisation: Organisation, books: Books) -> int:
    """Bring items whose product changed in the PSA's catalogue up to date; how many were sent."""
    if not read_policy(organisation.settings).items:
        return 0
    rows = list(
        Item.objects.filter(
            organisation=organisation, state=_State.IN_STEP, how="created"
        ).select_related("organisation__connection")
    )
    known = _catalogue(row.product for row in rows)
    # In memory only: whether a row differs from what was written is seen by its hash.
    for row in rows:
        _describe(row, known.get(row.product))
    changed = [row for row in rows if not _is_settled(row)]
    _make(changed, books)
    return len(changed)
