"""What only the sandbox has: addresses to arrange situations, as tests and demos need them."""

from __future__ import annotations

import random
from datetime import date

from werkzeug.wrappers import Request, Response

from psaltery.adapters.sandboxing import Document, decode, json_response
from psaltery.adapters.xero.sandbox import (
    contacts,
    credit_notes,
    dates,
    invoices,
    payments,
    seeding,
    setup_lists,
)
from psaltery.adapters.xero.sandbox.answers import Applied, Refused
from psaltery.adapters.xero.sandbox.chart import COUNTRIES
from psaltery.adapters.xero.sandbox.documents import Writing
from psaltery.adapters.xero.sandbox.identity import Identity
from psaltery.adapters.xero.sandbox.limits import Limits
from psaltery.adapters.xero.sandbox.state import ID_FIELDS, Books, Client, World, new_id
from psaltery.adapters.xero.sandbox.webhooks import Webhooks

LOCKS = ("PeriodLockDate", "EndOfYearLockDate")
# Members of the organisation that can be set as they are.
PUBLIC = ("Name", "LegalName", "BaseCurrency", "CountryCode", "Timezone", "Class", "ShortCode",
          "PaymentTerms", "IsDemoCompany", "OrganisationStatus")  # fmt: skip


class Control:
    """Answers `/_control/…` addresses that are Xero's own; the kit answers the common ones."""

    def __init__(
        self, world: World, identity: Identity, limits: Limits, webhooks: Webhooks
    ) -> None:
        self.world, self.identity = world, identity
        self.limits, self.webhooks = limits, webhooks

    def handle(self, request: Request) -> Response:
        """Raises `KeyError` or `ValueError` for what makes no sense; the kit answers 400."""
        sent: Document = decode(request.data) if request.data else {}
        place = request.path.removeprefix("/_control/").rstrip("/")
        # Deliveries wait for the receiver and so stay outside of the transaction.
        with self.world.store.transaction():
            match place:
                case "organisations":
                    return self._organisations(request, sent)
                case "clients":
                    return self._client(sent)
                case "consent":
                    self.identity.automatic = sent
                    return json_response(sent)
                case "disconnect":
                    count = self.identity.tokens.disconnect_tenant(sent["tenant"].lower())
                    return json_response({"connections": count})
                case "merge_contact":
                    return self._merge(sent)
                case "edit":
                    return self._edit(sent)
                case "limits":
                    return self._limits(sent)
        return self._webhooks(request, place, sent)

    def _books(self, sent: Document) -> Books:
        tenant = self.world.tenant(str(sent["tenant"]))
        if tenant is None:
            raise KeyError(sent["tenant"])
        return self.world.books(tenant["tenantId"])

    def _organisations(self, request: Request, sent: Document) -> Response:
        if request.method == "GET":
            return json_response([self._told(tenant) for tenant in self.world.tenants()])
        if "tenant" in sent:
            books = self._books(sent)
        else:
            # The same seed makes the same organisation again.
            source = random.Random(sent.get("seed", new_id()))
            name, country = sent.get("Name", "New organisation"), sent.get("CountryCode", "AU")
            books = seeding.add_organisation(self.world, source, name, country)
            amounts = {n: int(sent.get(n, 0)) for n in seeding.Amounts.__dataclass_fields__}
            history = seeding.History(books, source, COUNTRIES[country])
            with self.world.silent():
                history.add(seeding.Amounts(**amounts))
        self._change_organisation(books, sent)
        tenant = self.world.tenant(books.tenant_id) or {}
        return json_response(self._told(tenant))

    def _told(self, tenant: Document) -> Document:
        if tenant["tenantType"] != "ORGANISATION":
            return tenant
        books = self.world.books(tenant["tenantId"])
        settings = books.store.get(books.collection("Settings"), "own") or {}
        return {**tenant, "organisation": books.organisation(), "settings": settings}

    def _change_organisation(self, books: Books, sent: Document) -> None:
        """Lock dates (`2026-06-30` or null), public members, currencies, and settings."""
        organisation = dict(books.organisation())
        organisation |= {name: sent[name] for name in PUBLIC if name in sent}
        for name in LOCKS:
            if sent.get(name):
                organisation[name] = dates.wire_date(date.fromisoformat(sent[name]))
            # null unlocks.
            elif name in sent:
                organisation.pop(name, None)
        books.store.put(books.collection("Organisation"), "own", organisation)
        if "Name" in sent and (tenant := self.world.tenant(books.tenant_id)):
            self.world.store.put("tenants", books.tenant_id, {**tenant, "tenantName": sent["Name"]})
        for code in sent.get("currencies", []):
            books.put("Currencies", {"Code": code, "Description": code})
        settings = books.store.get(books.collection("Settings"), "own") or {}
        merged = {**settings, **sent.get("settings", {})}
        books.store.put(books.collection("Settings"), "own", merged)

    def _client(self, sent: Document) -> Response:
        """Registers an app: `{"id", "secret", "redirect_uris", …}`."""
        known = {name: sent[name] for name in Client.__dataclass_fields__ if name in sent}
        client = Client(**{**known, "redirect_uris": tuple(sent.get("redirect_uris", ()))})
        self.world.clients[client.id] = client
        return json_response({"id": client.id, "redirect_uris": client.redirect_uris})

    def _merge(self, sent: Document) -> Response:
        books = self._books(sent)
        return json_response(contacts.merge(books, sent["loser"], sent["winner"]))

    def _edit(self, sent: Document) -> Response:
        """Someone changes something in Xero's own pages: `{"tenant", "kind", "changes"}`.

        `kind` is a list such as Invoices; `id` names the document, and no `id` makes a new one.
        With `"raw": true` the members are laid over the document without any check.
        """
        books, kind, changes = self._books(sent), sent["kind"], sent["changes"]
        identifier = sent.get("id")
        if sent.get("raw"):
            known = books.get(kind, str(identifier)) or {}
            return json_response(books.touch(kind, {**known, **changes}))
        try:
            applied = _by_hand(books, kind, {**changes, ID_FIELDS[kind]: identifier})
        except Refused as refused:
            return json_response({"refused": refused.messages}, 400)
        return json_response(applied.document)

    def _limits(self, sent: Document) -> Response:
        """`{"on", "per_day", "per_minute"}`; with `tenant`, `client`, `left`: the day's rest."""
        self.limits.on = sent.get("on", self.limits.on)
        self.limits.per_day = sent.get("per_day", self.limits.per_day)
        self.limits.per_minute = sent.get("per_minute", self.limits.per_minute)
        if "left" in sent:
            self.limits.use_up(sent["client"], sent["tenant"].lower(), int(sent["left"]))
        return json_response({"on": self.limits.on, "per_day": self.limits.per_day})

    def _webhooks(self, request: Request, place: str, sent: Document) -> Response:
        hooks = self.webhooks
        match place:
            case "webhooks" if request.method == "POST":
                return json_response(hooks.subscribe(sent))
            case "webhooks":
                return json_response({"deliveries": hooks.deliveries, "idle": hooks.idle()})
            case "webhooks/intent":
                return json_response(hooks.intent_to_receive())
            case "webhooks/replay":
                return json_response(hooks.replay(sent.get("how", "duplicate")))
            case "webhooks/forge":
                return json_response(hooks.deliver(sent.get("events", []), forged=True))
            case "webhooks/send":
                return json_response(hooks.deliver(sent.get("events", [])))
        return json_response({"error": f"nothing at /_control/{place}"}, 404)


def _by_hand(books: Books, kind: str, changes: Document) -> Applied:
    """The change with the checks that Xero's pages make too."""
    changes = {name: value for name, value in changes.items() if value is not None}
    # No app: it does not count as created by one.
    writing = Writing(books, "", four_decimals=True, updating=True)
    match kind:
        case "Invoices":
            return invoices.write(writing, changes)
        case "CreditNotes":
            return credit_notes.write(writing, changes)
        case "Contacts":
            return contacts.write(books, changes)
        case "Accounts":
            return setup_lists.write_account(books, changes)
        case "TrackingCategories":
            return setup_lists.write_category(books, changes)
        case "BankTransactions":
            return payments.bank_transaction(writing, changes)
        case "Payments" if payment := books.get("Payments", changes.get("PaymentID", "")):
            return payments.delete(books, payment, changes)
        case "Payments":
            return payments.create(books, changes)
    raise KeyError(kind)
