"""The state of one emulated ConnectWise site: its records, its clock and its switches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from psaltery.adapters.connectwise.sandbox.conditions import Dialect
from psaltery.adapters.connectwise.sandbox.errors import not_found
from psaltery.adapters.connectwise.sandbox.fields import read
from psaltery.adapters.sandboxing import Clock, Document, Store

Reference = dict[str, Any]

# The person whose clicks in the user interface the control endpoints stand for.
OPERATOR = "hmoreau"


@dataclass(frozen=True)
class Change:
    """One write, as callbacks tell of it."""

    collection: str
    action: str
    document: Document
    member: str


@dataclass
class Behaviour:
    """Facts about ConnectWise that no source settles; each can be set either way.

    `over_balance`: what becomes of a payment above the balance: `cut`, `refuse` or `accept`.
    `refused_keys`: public keys that were taken back; cloud sites may answer 404 instead of 401.
    """

    # The strict reading as a default: a connector of the field found one payment an invoice.
    several_payments: bool = False
    over_balance: str = "cut"
    date_only_conditions: bool = False
    like_wildcards: str = "%*"
    positive_credit_memos: bool = False
    requests_per_minute: int = 1000
    refused_keys: list[str] = field(default_factory=list)
    refused_keys_status: int = 401
    callback_retry_seconds: list[float] = field(default_factory=lambda: [2.0, 4.0])

    @property
    def dialect(self) -> Dialect:
        """How conditions are read."""
        return Dialect(date_only=self.date_only_conditions, wildcards=self.like_wildcards)


@dataclass
class World:
    """Records by collection, with the bookkeeping that every write needs.

    Documents handed out are shared: change one by saving a new one, never in place.
    """

    store: Store
    behaviour: Behaviour = field(default_factory=Behaviour)
    clock: Clock = field(default_factory=Clock)
    listeners: list[Callable[[Change], None]] = field(default_factory=list)
    # Which ledger holds a GL entry. None until it is first asked, so that a start needs no pass.
    entry_ledgers: dict[int, str] | None = None
    _indexes: dict[tuple[str, str], tuple[int, dict[Any, list[Document]]]] = field(
        default_factory=dict
    )

    def now(self) -> datetime:
        """The sandbox's time, which may be shifted."""
        return self.clock.now()

    def get(self, collection: str, record_id: int, label: str = "") -> Document:
        """One record; 404 in the name of `label` when there is none."""
        document = self.store.get(collection, str(record_id))
        if document is None:
            raise not_found(label or collection, record_id)
        return document

    def find(self, collection: str, record_id: object) -> Document | None:
        """One record, or None."""
        return None if record_id is None else self.store.get(collection, str(record_id))

    def all(self, collection: str) -> list[Document]:
        """All records of a collection, in the order in which they came."""
        return self.store.all(collection)

    def having(self, collection: str, path: str, numbers: Iterable[int]) -> list[Document]:
        """The records whose value at a path is one of the numbers, from an index."""
        revision, index = self._indexes.get((collection, path), (-1, {}))
        if revision != self.store.revision(collection):
            revision, index = self.store.revision(collection), {}
            for document in self.all(collection):
                index.setdefault(read(document, path), []).append(document)
            self._indexes[collection, path] = (revision, index)
        return [document for number in numbers for document in index.get(number, ())]

    def named(self, collection: str, key: object) -> Document | None:
        """A record by id, identifier or name, as references may give it."""
        if isinstance(key, int):
            return self.find(collection, key)
        for document in self.all(collection):
            if key in (document.get("identifier"), document.get("name")):
                return document
        return None

    def add(self, collection: str, document: Document, member: str = OPERATOR) -> Document:
        """Store a new record under the next id."""
        return self.save(collection, {"id": self.next_id(collection), **document}, member)

    def next_id(self, collection: str) -> int:
        """An id that no record has, loaded ones included."""
        while True:
            record_id = self.store.next_id(collection)
            if self.store.get(collection, str(record_id)) is None:
                return record_id

    def save(self, collection: str, document: Document, member: str = OPERATOR) -> Document:
        """Store a record with fresh `_info` and tell the listeners. Returns what is stored."""
        # Who made a record stays; every write moves lastUpdated, which is its version.
        before = self.store.get(collection, str(document["id"]))
        stamped = document | {"_info": self._info(before, member)}
        self.store.put(collection, str(document["id"]), stamped)
        self._tell(Change(collection, "updated" if before else "added", stamped, member))
        return stamped

    def change(
        self, collection: str, record_id: int, member: str = OPERATOR, **fields: Any
    ) -> Document:
        """Store a record with some fields changed."""
        return self.save(collection, self.get(collection, record_id) | fields, member)

    def remove(self, collection: str, document: Document, member: str = OPERATOR) -> None:
        """Delete a record and tell the listeners."""
        self.store.delete(collection, str(document["id"]))
        self._tell(Change(collection, "deleted", document, member))

    def _info(self, before: Document | None, member: str) -> dict[str, str]:
        moment = wire_time(self.now())
        known = (before or {}).get("_info") or {}
        return {
            "lastUpdated": moment,
            "updatedBy": member,
            "dateEntered": known.get("dateEntered", moment),
            "enteredBy": known.get("enteredBy", member),
        }

    def _tell(self, change: Change) -> None:
        for listener in self.listeners:
            listener(change)


def wire_time(moment: datetime) -> str:
    """A moment as the API writes it: UTC to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def wire_day(text: str) -> str:
    """A day (`2024-01-31` or longer) as the API writes dates without a time."""
    return f"{text[:10]}T00:00:00Z"


def by_id(documents: Iterable[Document]) -> dict[int, Document]:
    """The documents under their ids."""
    return {document["id"]: document for document in documents}
