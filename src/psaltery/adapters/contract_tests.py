"""What every adapter must do, tried against its sandbox over real HTTP: inherit, fill in, run.

    class TestContract(AdapterContract):
        feed = "contacts"

        @pytest.fixture
        def subject(self, served): ...          # a Subject
        def write(self, adapter): ...           # one write that the vendor would accept
        def written(self, adapter): ...         # how often what `write` writes is there

No Django, no database: budget and audit have tests of their own.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, ClassVar

import httpx2
import msgspec
import pytest
import stamina

from psaltery.adapters.budget import NoBudget
from psaltery.adapters.contract import Page
from psaltery.adapters.errors import Failure, NeedsReconnect, Rejected, TryLater
from psaltery.adapters.exchange import Exchange
from psaltery.adapters.http import Caller, FixedCredential
from psaltery.adapters.registry import AdapterModule
from psaltery.kit.clock import now
from psaltery.kit.hashing import content_hash

MOST_PAGES = 500
MOST_BYTES = 4_000_000
CERTAIN_READ_FAULTS: tuple[Mapping[str, Any], ...] = (
    {"kind": "html"},
    {"kind": "cut"},
    {"kind": "drop"},
    {"kind": "huge", "megabytes": 8},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 502, "body": "<html>Bad gateway</html>"},
    {"kind": "status", "status": 503},
)
UNCERTAIN_WRITE_FAULTS: tuple[Mapping[str, Any], ...] = (
    {"kind": "lost_answer"},
    {"kind": "html"},
    {"kind": "cut"},
    {"kind": "drop"},
    {"kind": "status", "status": 500},
)


@dataclass
class Calls:
    """A recorder that keeps every exchange."""

    kept: list[Exchange] = field(default_factory=list)

    def record(self, exchange: Exchange) -> None:
        """Keep it."""
        self.kept.append(exchange)


@dataclass
class Subject:
    """An adapter in front of its sandbox; `headers` are the credential."""

    module: AdapterModule
    url: str
    fields: Mapping[str, str]
    external_id: str
    headers: Mapping[str, str]
    calls: Calls = field(default_factory=Calls)

    def open(self) -> Any:
        """A fresh adapter, as another process would make it."""
        caller = Caller(
            self.module.base_url(self.fields, {"api": self.url}),
            credential=FixedCredential(self.headers),
            budget=NoBudget(),
            recorder=self.calls,
            classify=self.module.classify,
            timeouts=httpx2.Timeout(10.0),
            max_bytes=MOST_BYTES,
        )
        return self.module.open(self.fields, self.external_id, caller, {})

    def fault(self, **rule: Any) -> None:
        """Have the sandbox play a fault, until told otherwise unless `times` is given."""
        rule = {"times": -1, **rule}
        assert httpx2.post(f"{self.url}/_control/faults", json=rule).status_code < 300

    def mend(self) -> None:
        """No more faults."""
        assert httpx2.delete(f"{self.url}/_control/faults").status_code < 300

    def everything(self, feed: str, *, fresh: bool = False) -> tuple[list[Any], str]:
        """All records of a run and the cursor after it; `fresh`: each page by another adapter."""
        adapter, cursor = self.open(), None
        found: list[Any] = []
        for _ in range(MOST_PAGES):
            page: Page[Any] = (self.open() if fresh else adapter).pull(feed, cursor)
            assert isinstance(page.cursor, str)
            assert not page.more or page.cursor != cursor, "the next page would be the same one"
            found += page.records
            cursor = page.cursor
            if not page.more:
                return found, cursor
        raise AssertionError(f"{feed} does not end")


class AdapterContract(ABC):
    """The suite; pytest collects the classes that inherit it as `Test…`."""

    feed: ClassVar[str]  # a feed that one call reads when it is small
    feed_path: ClassVar[str]  # a regular expression for that call's address
    write_path: ClassVar[str]
    write_methods: ClassVar[tuple[str, ...]] = ("PUT", "POST")
    list_feeds: ClassVar[frozenset[str]] = frozenset()  # feeds of many small lists, read whole

    @abstractmethod
    def write(self, adapter: Any) -> object:
        """One write that the vendor would accept; the same one each time within a test."""

    @abstractmethod
    def written(self, adapter: Any) -> int:
        """How often what `write` writes is at the vendor."""

    @pytest.fixture(autouse=True)
    def _mended(self, subject: Subject) -> Iterator[None]:
        with stamina.set_testing(True, attempts=3, cap=True):  # repeats, without their pauses
            yield
        subject.mend()

    # Paging

    def test_every_feed_ends_and_gives_each_record_once(self, subject: Subject) -> None:
        for spec in subject.module.MANIFEST.feeds:
            found, _ = subject.everything(spec.name)
            prints = [content_hash(record) for record in found]
            assert len(prints) == len(set(prints)), spec.name

    def test_a_run_goes_on_in_another_process_after_any_page(self, subject: Subject) -> None:
        for spec in subject.module.MANIFEST.feeds:
            at_once, _ = subject.everything(spec.name)
            apart, _ = subject.everything(spec.name, fresh=True)
            assert {content_hash(one) for one in at_once} == {content_hash(one) for one in apart}

    def test_a_run_after_nothing_changed_is_one_call(self, subject: Subject) -> None:
        names = {spec.name for spec in subject.module.MANIFEST.feeds} - self.list_feeds
        for name in sorted(names):
            _, cursor = subject.everything(name)
            adapter = subject.open()
            # What an adapter looks up once in its life (a codebase) is no part of a poll.
            adapter.pull(name, cursor)
            before = len(subject.calls.kept)
            page = adapter.pull(name, cursor)
            calls = [one.address for one in subject.calls.kept[before:]]
            assert not page.more or page.records
            assert page.records or len(calls) <= 1, (name, calls)

    # Faults while reading

    @pytest.mark.parametrize("rule", CERTAIN_READ_FAULTS, ids=str)
    def test_a_read_that_fails_is_tried_later(
        self, subject: Subject, rule: Mapping[str, Any]
    ) -> None:
        adapter = subject.open()
        subject.fault(path=self.feed_path, **rule)
        with pytest.raises(TryLater) as failure:
            adapter.pull(self.feed, None)
        assert not failure.value.uncertain
        subject.mend()
        assert adapter.pull(self.feed, None).records

    def test_trouble_in_passing_is_not_noticed(self, subject: Subject) -> None:
        adapter = subject.open()
        subject.fault(path=self.feed_path, kind="status", status=503, times=1)
        assert adapter.pull(self.feed, None).records

    def test_a_limit_is_waited_for_as_long_as_the_vendor_says(self, subject: Subject) -> None:
        adapter = subject.open()
        subject.fault(path=self.feed_path, kind="status", status=429, headers={"Retry-After": "55"})
        with pytest.raises(TryLater) as failure:
            adapter.pull(self.feed, None)
        assert failure.value.at is not None
        assert 40 < (failure.value.at - now()).total_seconds() < 60

    @pytest.mark.parametrize("status", [400, 403, 404, 409, 412, 422])
    def test_a_refusal_is_one_of_the_failures(self, subject: Subject, status: int) -> None:
        adapter = subject.open()
        subject.fault(path=self.feed_path, kind="status", status=status, body="{}")
        with pytest.raises(Failure) as failure:
            adapter.pull(self.feed, None)
        assert str(failure.value)

    def test_a_refused_credential_asks_to_reconnect(self, subject: Subject) -> None:
        adapter = subject.open()
        subject.fault(path=self.feed_path, kind="status", status=401, body="{}")
        with pytest.raises(NeedsReconnect) as failure:
            adapter.pull(self.feed, None)
        assert failure.value.code

    def test_members_that_are_missing_null_or_new_do_no_harm(self, subject: Subject) -> None:
        adapter = subject.open()
        adapter.pull(self.feed, None)
        answer = self._answer_of_the_feed(subject)
        # The first record as a baseline, so that a mutation alone explains a failure.
        for _, mutated in mutations(answer):
            subject.mend()
            body = msgspec.json.encode(mutated).decode()
            subject.fault(path=self.feed_path, kind="status", status=200, body=body, times=1)
            try:
                subject.open().pull(self.feed, None)
            except (Rejected, TryLater):
                # Named and told to a person; any other exception would end the test.
                continue

    def _answer_of_the_feed(self, subject: Subject) -> Any:
        address = next(
            call.address
            for call in reversed(subject.calls.kept)
            if self.feed_path.strip("$") in call.address and call.status == 200
        )
        tenant = {"Xero-Tenant-Id": subject.external_id}
        headers = {"Accept": "application/json", **subject.headers, **tenant}
        return msgspec.json.decode(httpx2.get(address, headers=headers).content)

    # Faults while writing

    @pytest.mark.parametrize("rule", UNCERTAIN_WRITE_FAULTS, ids=str)
    def test_a_write_whose_answer_is_lost_is_uncertain_and_never_repeated(
        self, subject: Subject, rule: Mapping[str, Any]
    ) -> None:
        adapter = subject.open()
        before = self.written(adapter)
        for method in self.write_methods:
            subject.fault(path=self.write_path, method=method, **rule)
        asked = len(self._writes(subject))
        with pytest.raises(TryLater) as failure:
            self.write(adapter)
        assert failure.value.uncertain
        assert len(self._writes(subject)) == asked + 1
        subject.mend()
        assert self.written(adapter) - before <= 1

    def test_a_write_that_the_limit_refused_is_certain_not_to_have_happened(
        self, subject: Subject
    ) -> None:
        adapter = subject.open()
        before = self.written(adapter)
        headers = {"Retry-After": "30", "X-Rate-Limit-Problem": "minute"}
        for method in self.write_methods:
            subject.fault(
                path=self.write_path, method=method, kind="status", status=429, headers=headers
            )
        with pytest.raises(TryLater) as failure:
            self.write(adapter)
        assert not failure.value.uncertain
        subject.mend()
        assert self.written(adapter) == before

    def test_a_write_arrives_once(self, subject: Subject) -> None:
        adapter = subject.open()
        before = self.written(adapter)
        self.write(adapter)
        assert self.written(adapter) == before + 1

    def _writes(self, subject: Subject) -> list[Exchange]:
        return [call for call in subject.calls.kept if call.write]


def mutations(answer: Any) -> Iterator[tuple[str, Any]]:
    """The answer over and over, each time with one member of its first record other than it was:
    left out, null, or a word that nobody knows; and once with members that nobody asked for."""
    record = first_record(answer)
    for name, value in list(record.items()):
        for label, change in _changes(name, value):
            mutated = deepcopy(answer)
            change(first_record(mutated))
            yield f"{name} {label}", mutated
    mutated = deepcopy(answer)
    first_record(mutated).update({"brandNew": {"deep": [1, "two", None]}, "": 0})
    yield "new members", mutated


def _changes(name: str, value: Any) -> Iterator[tuple[str, Callable[[dict[str, Any]], object]]]:
    yield "missing", lambda record: record.pop(name)
    yield "null", lambda record: record.update({name: None})
    if isinstance(value, str):
        yield "unknown", lambda record: record.update({name: "SOMETHING_NEW"})
        yield "odd text", lambda record: record.update({name: "\x00 \U0001f600 \u202e"})
    if isinstance(value, list) and value:
        yield "empty", lambda record: record.update({name: []})


def first_record(answer: Any) -> dict[str, Any]:
    """The first record of a list answer, bare or in an envelope."""
    rows = answer if isinstance(answer, list) else _longest_list(answer)
    record: dict[str, Any] = rows[0]
    return record


def _longest_list(envelope: Mapping[str, Any]) -> list[Any]:
    lists = [value for value in envelope.values() if isinstance(value, list)]
    return max(lists, key=len)
