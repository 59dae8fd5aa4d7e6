"""What is known of the money on linked documents, for a slice of them: eight queries."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Q, QuerySet, Sum

from psaltery.connections.models import Organisation
from psaltery.ledger.models import BillingPayment
from psaltery.matching.models import PaymentBack, PaymentTaken
from psaltery.matching.tieout.decide import Settled
from psaltery.matching.tieout.freshness import Freshness
from psaltery.posting.models import Link
from psaltery.posting.policy import read_policy
from psaltery.records.drafts import BooksKind
from psaltery.records.money import ZERO

_State = PaymentBack.State
_CALM = _State.IN_STEP
# The clocks of the books and ours need not agree.
CLOCKS = timedelta(minutes=5)
Row = dict[str, Any]


class SettledFacts:
    """The facts of a slice of rows of `gather.differing`."""

    def __init__(self, organisation: Organisation, rows: Sequence[Row], fresh: Freshness) -> None:
        self._organisation, self._fresh = organisation, fresh
        linked = [row for row in rows if row["linked"] and row["status"] is not None]
        memos = [row for row in linked if row["psa_kind"] == "credit_memo"]
        invoices = [row for row in linked if row["psa_kind"] != "credit_memo"]
        self._backs = {
            back.pk: back
            for back in PaymentBack.objects.filter(pk__in=[row["document"] for row in invoices])
        }
        self._reached = self._sums([row["books_id"] for row in invoices])
        entered = PaymentTaken.objects.filter(document__in=[row["document"] for row in invoices])
        sums = entered.exclude(books_payment_id="").order_by().values("document")
        self._entered = dict(sums.annotate(sum=Sum("posted_amount")).values_list("document", "sum"))
        self._unreconciled: dict[str, Decimal] = {}
        if read_policy(organisation.settings).payments_reconciled:
            # The PSA knows those that were entered there.
            waits = self._touches(touch="payment", reconciled=False).exclude(
                external_id__in=entered.values("books_payment_id")
            )
            self._unreconciled = self._sums([row["books_id"] for row in invoices], waits)
        self._uses = self._uses_of([row["books_id"] for row in memos])
        self._users = self._users_of(memos)

    def of(self, row: Row) -> Settled:
        """What is known of the money on one document."""
        if not row["linked"] or row["status"] is None:
            return Settled()
        return self._memo(row) if row["psa_kind"] == "credit_memo" else self._invoice(row)

    def _invoice(self, row: Row) -> Settled:
        reached = self._reached.get(row["books_id"], ZERO)
        back = self._backs.get(row["document"])
        # What the PSA has of its own is in both.
        shown = (_shown(back) if back else ZERO) + self._entered.get(row["document"], ZERO)
        return Settled(
            shown=shown,
            reached=reached,
            unread=self._unread(row, reached),
            unseen=self._unseen(row, shown, [back] if back else []),
            unreconciled=self._unreconciled.get(row["books_id"], ZERO),
            moving=back is not None and _moving(back),
            why=back.why if back else "",
        )

    def _memo(self, row: Row) -> Settled:
        uses = self._uses[row["books_id"]]
        # Only what lies on invoices of the same site can be applied there.
        reached = sum((amount for site, amount in uses if site == row["site"]), ZERO)
        elsewhere = sum((amount for site, amount in uses if site != row["site"]), ZERO)
        users = self._users[row["site"], row["psa_id"]]
        moving = [back for back in users if _moving(back)]
        shown = sum((_shown_of(back, row["psa_id"]) for back in users), ZERO)
        return Settled(
            shown=shown,
            reached=reached,
            unseen=self._unseen(row, shown, users),
            elsewhere=elsewhere,
            unread=self._unread(row, reached + elsewhere),
            moving=bool(moving),
            why=moving[0].why if moving else "",
        )

    def _unread(self, row: Row, known: Decimal) -> Decimal:
        """What the head says is settled, beyond what has been read, if that may still come."""
        changed, read = row["books_at"], self._fresh.money_as_of
        if changed is not None and read is not None and read - CLOCKS > changed:
            return ZERO
        settled: Decimal = row["books_total"] - row["due"] - known
        return settled

    def _unseen(self, row: Row, shown: Decimal, backs: Sequence[PaymentBack]) -> Decimal:
        """What was written to the PSA after the mirror was read, beyond what the mirror shows."""
        read = self._fresh.psa_as_of
        written = [back.settled_at for back in backs if back.settled_at is not None]
        # The PSA was read after our last write: what it shows is what it has.
        if not written or (read is not None and max(written) < read):
            return ZERO
        unseen: Decimal = shown - (row["psa_total"] - row["balance"])
        return unseen

    def _touches(self, **narrow: Any) -> QuerySet[BillingPayment]:
        return BillingPayment.objects.filter(
            organisation=self._organisation, state="active", **narrow
        )

    def _sums(
        self, invoices: Sequence[str], among: QuerySet[BillingPayment] | None = None
    ) -> dict[str, Decimal]:
        rows = self._touches() if among is None else among
        touches = rows.filter(invoice_external_id__in=invoices).order_by()
        return dict(
            touches.values("invoice_external_id")
            .annotate(sum=Sum("amount"))
            .values_list("invoice_external_id", "sum")
        )

    def _uses_of(self, credit_notes: Sequence[str]) -> dict[str, list[tuple[int, Decimal]]]:
        """Credit note → what was used of it, with the site of the invoice (0: none of a PSA)."""
        touches = self._touches(touch="credit_note", touch_external_id__in=credit_notes)
        found = list(touches.values_list("touch_external_id", "invoice_external_id", "amount"))
        links = Link.objects.filter(
            organisation=self._organisation,
            books_kind=BooksKind.INVOICE,
            books_id__in=[invoice for _, invoice, _ in found if invoice],
        )
        sites = dict(links.values_list("books_id", "document__connection_id"))
        uses: dict[str, list[tuple[int, Decimal]]] = defaultdict(list)
        for note, invoice, amount in found:
            uses[note].append((sites.get(invoice, 0), amount))
        return uses

    def _users_of(self, memos: Sequence[Row]) -> dict[tuple[int, str], list[PaymentBack]]:
        """Memo → the invoices that show it as applied, or on which its credit note lies."""
        users: dict[tuple[int, str], list[PaymentBack]] = defaultdict(list)
        if not memos:
            return users
        keys = {row["books_id"]: (row["site"], row["psa_id"]) for row in memos}
        lying = self._lying(list(keys))
        shows = Q(pk__in=[])
        for row in memos:
            shows |= Q(credits__contains=[{"credit_memo": row["psa_id"]}])
        backs = PaymentBack.objects.filter(
            shows | Q(pk__in=lying), organisation=self._organisation
        ).select_related("document")
        for back in backs:
            site = back.document.connection_id
            mine = {(site, credit["credit_memo"]) for credit in back.credits}
            mine |= {keys[note] for note in lying.get(back.pk, ())}
            for key in mine:
                users[key].append(back)
        return users

    def _lying(self, credit_notes: Sequence[str]) -> dict[int, set[str]]:
        """Document → the credit notes that lie on its invoice in the books."""
        touches = self._touches(touch="credit_note", touch_external_id__in=credit_notes)
        on = list(touches.values_list("invoice_external_id", "touch_external_id"))
        links = Link.objects.filter(
            organisation=self._organisation,
            books_kind=BooksKind.INVOICE,
            books_id__in=[invoice for invoice, _ in on],
        )
        documents = dict(links.values_list("books_id", "document_id"))
        lying: dict[int, set[str]] = defaultdict(set)
        for invoice, note in on:
            if invoice in documents:
                lying[documents[invoice]].add(note)
        return lying


def _moving(back: PaymentBack) -> bool:
    return back.state != _CALM or back.dirty


def _shown(back: PaymentBack) -> Decimal:
    return back.amount + sum((Decimal(one["amount"]) for one in back.credits), ZERO)


def _shown_of(back: PaymentBack, memo: str) -> Decimal:
    mine = (Decimal(one["amount"]) for one in back.credits if one["credit_memo"] == memo)
    return sum(mine, ZERO)
