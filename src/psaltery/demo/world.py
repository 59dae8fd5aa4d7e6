"""The demo's world: both sandboxes' state files, and a page on what was put into them.

The same seed and the same day make the same world. It takes about two seconds.
"""

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from psaltery.adapters.sandboxing import Store
from psaltery.adapters.xero.sandbox.state import same_ids
from psaltery.demo import faults, money, takings
from psaltery.demo.books import Organisations
from psaltery.demo.faults import Fault
from psaltery.demo.psa import Psa
from psaltery.demo.story import Story

PSA_FILE, BOOKS_FILE, PAGE = "connectwise.sqlite", "xero.sqlite", "world.json"


class WorldPage(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a world that was made: kept beside its state files."""

    seed: int
    made_at: datetime
    # Credit memos are counted with the invoices.
    invoices: int
    by_hand: int
    faults: tuple[Fault, ...]
    settled: dict[str, int]


def read(folder: Path) -> WorldPage | None:
    """The page of the world in a folder; None when there is none, or it was never finished."""
    try:
        return msgspec.json.decode((folder / PAGE).read_bytes(), type=WorldPage)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def make(folder: Path, seed: int, now: datetime | None = None) -> WorldPage:
    """Make a world in an empty folder; its page is written last."""
    story = Story(seed, (now or datetime.now(UTC)).replace(microsecond=0))
    psa_store, books_store = Store(folder / PSA_FILE), Store(folder / BOOKS_FILE)
    try:
        # One transaction each: thousands of commits would take minutes.
        with psa_store.transaction(), books_store.transaction(), same_ids(seed):
            page = _fill(psa_store, books_store, story)
    finally:
        psa_store.close()
        books_store.close()
    # Last: a world without its page was cut off, and is made anew.
    (folder / PAGE).write_bytes(msgspec.json.encode(page))
    return page


def _fill(psa_store: Store, books_store: Store, story: Story) -> WorldPage:
    psa, books = Psa(psa_store, story), Organisations(books_store, story)
    psa.fill()
    books.fill()
    entered = books.enter(psa)
    settled = money.settle(books, entered)
    settled |= takings.enter(psa)
    # After the money: a fault's invoices must not be paid by the story.
    made = faults.add(psa, books)
    return WorldPage(
        seed=story.seed,
        made_at=story.now,
        invoices=len(psa.world.all("invoices")),
        by_hand=len(entered),
        faults=tuple(made),
        settled=settled,
    )
