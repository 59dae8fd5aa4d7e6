"""What rules may go by beside the document itself: its company's tags, its ticket's board."""

from collections.abc import Sequence

import msgspec
from django.db.models import Q

from psaltery.desk.models import Company, Ticket
from psaltery.desk.models import Document as Row
from psaltery.records.psa import Document

Key = tuple[int, str]


class RoutingFacts:
    """The facts of some documents; two queries, none where no rule needs them."""

    def __init__(self, rows: Sequence[Row], *, needed: bool) -> None:
        # Tags and boards are looked up only where a rule goes by them, which is seldom.
        rows = rows if needed else ()
        self._companies: dict[Key, Company] = {
            (company.connection_id, company.external_id): company
            for company in Company.objects.filter(_of(rows, "company_external_id"))
        }
        self._boards: dict[Key, str] = {
            (ticket.connection_id, ticket.external_id): ticket.board
            for ticket in Ticket.objects.filter(_of(rows, "ticket_id"))
        }

    def of(self, row: Row, record: Document) -> Document:
        """The record with what is known of its company and ticket."""
        company = self._companies.get((row.connection_id, row.company_external_id))
        board = self._boards.get((row.connection_id, row.ticket_id), "")
        if company is None and not board:
            return record
        # What the document says itself goes before what its company says.
        custom = {**(company.custom if company else {}), **record.custom}
        tags = tuple(company.tags) if company else ()
        return msgspec.structs.replace(record, custom=custom, tags=tags, board=board)


def _of(rows: Sequence[Row], field: str) -> Q:
    ids = {getattr(row, field) for row in rows} - {""}
    # Django asks nothing where the list is empty.
    return Q(connection__in={row.connection_id for row in rows}, external_id__in=ids)
