"""Feeds against the sandbox: everything once, then what changed, in few calls."""

from decimal import Decimal as D
from typing import Any

import pytest

from psaltery.adapters.connectwise import MANIFEST, feeds, wire
from psaltery.adapters.connectwise.sandbox import NewInvoice, NewLine, invoices, purchasing
from psaltery.adapters.connectwise.tests.site.driving import Driver
from psaltery.adapters.errors import BadSettings
from psaltery.records.psa import Company, Document, DocumentKind, Lookup


def closed(driver: Driver, count: int) -> None:
    for number in range(count):
        line = NewLine(item="CAB-CAT6", quantity=D("17.5"))
        driver.create(NewInvoice(company=1 + number % 6, lines=(line,)))


@pytest.mark.parametrize("feed", [spec.name for spec in MANIFEST.feeds])
def test_a_feed_ends_and_an_hour_later_has_nothing_new(driver: Driver, feed: str) -> None:
    _, cursor = driver.everything(feed)
    driver.calls()
    page = driver.adapter.pull(feed, cursor)
    if feed == "lookups":
        return  # always whole
    assert page.records == ()
    assert not page.more
    assert not page.full
    assert len(driver.calls()) == 1


def test_pages_of_companies(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "PAGE_SIZE", 4)
    known = {str(row["id"]) for row in driver.sandbox.world.all("companies")}
    first = driver.adapter.pull("companies", None)
    assert (len(first.records), first.more, first.full) == (4, True, True)
    assert first.total == len(known)
    rest, _ = driver.everything("companies", first.cursor)
    assert {row.external_id for row in (*first.records, *rest)} == known


def test_a_change_is_pulled_once_the_overlap_is_over(driver: Driver) -> None:
    _, cursor = driver.everything("companies")
    driver.sandbox.world.change("companies", 3, name="New name")
    found, cursor = driver.everything("companies", cursor)
    assert [row.name for row in found] == ["New name"]
    again, cursor = driver.everything("companies", cursor)
    assert [row.name for row in again] == ["New name"]  # the overlap
    driver.pass_time(minutes=30)
    assert driver.everything("companies", cursor)[0] == []


def test_invoices_with_lines_in_few_calls(driver: Driver) -> None:
    closed(driver, 60)
    driver.calls()
    found, _ = driver.everything("invoices")
    assert len(found) == 60
    # Two pages: head, three lists of parts, export; and once each count, tax codes, catalog.
    assert len(driver.calls()) <= 2 * 5 + 5
    for document in found:
        assert sum(line.amount for line in document.lines) == document.subtotal
        assert document.subtotal + document.tax == document.total


def test_open_invoices_are_left_out_until_they_are_closed(driver: Driver) -> None:
    line = NewLine(item="EDR", quantity=1)
    number = int(driver.create(NewInvoice(company=1, lines=(line,), close=False)))
    found, cursor = driver.everything("invoices")
    assert found == []
    invoices.close(driver.sandbox.world, number)
    assert [one.external_id for one in driver.everything("invoices", cursor)[0]] == [str(number)]


def test_the_page_and_the_single_read_agree(driver: Driver, invoice_id: str) -> None:
    driver.adapter = driver.open(gl_coding="yes")
    [pulled], _ = driver.everything("invoices")
    assert pulled == driver.open(gl_coding="yes").document(DocumentKind.INVOICE, invoice_id)
    assert [line.gl_account for line in pulled.lines] == ["200", "210"]
    assert [line.category for line in pulled.lines] == ["Hardware", ""]


def test_a_document_does_not_change_its_lines_by_being_posted(
    driver: Driver, invoice_id: str
) -> None:
    driver.adapter = driver.open(gl_coding="yes")
    [before], _ = driver.everything("invoices")
    assert before.lines[0].gl_account
    assert driver.adapter.mark_posted(DocumentKind.INVOICE, invoice_id, "Psaltery 1")
    [after], _ = driver.everything("invoices")
    assert after.posted
    assert after.lines == before.lines


def test_gl_coding_costs_nothing_unless_it_is_chosen(driver: Driver, invoice_id: str) -> None:
    driver.calls()
    [found], _ = driver.everything("invoices")
    assert {line.gl_account for line in found.lines} == {""}
    assert not [call for call in driver.calls() if "accounting" in call]


def test_one_invoice_that_can_not_be_exported_does_not_take_the_others_with_it(
    driver: Driver,
) -> None:
    closed(driver, 5)
    refusal = {"path": "accounting/export", "status": 400, "body": "No corporate level mapping."}
    driver.fault("status", **refusal)  # all five
    driver.fault("status", after=1, times=2, **refusal)  # not 1 and 2; 3 to 5, and 3 alone
    driver.adapter = driver.open(gl_coding="yes")
    found, _ = driver.everything("invoices")
    assert [one.external_id for one in found if not one.lines[0].gl_account] == ["3"]


def test_an_agreement_invoice(driver: Driver) -> None:
    world = driver.sandbox.world
    kind = world.named("agreementTypes", "Managed Services")
    assert kind
    agreement = world.add(
        "agreements",
        {
            "name": "Gold",
            "type": {"id": kind["id"], "name": kind["name"]},
            "company": {"id": 1, "name": "Alder"},
            "taxable": True,
            "billAmount": D("1500.00"),
        },
    )
    line = NewLine(item="M365-BP", quantity=10, agreement=agreement["id"])
    draft = NewInvoice(
        company=1,
        type="Agreement",
        agreement=agreement["id"],
        agreement_amount=D("1500.00"),
        lines=(line,),
    )
    driver.create(draft)
    driver.adapter = driver.open(gl_coding="yes")
    [found], _ = driver.everything("invoices")
    fee = next(line for line in found.lines if line.source == "agreement")
    assert (fee.amount, fee.agreement, fee.agreement_type) == (D(1500), "Gold", "Managed Services")
    assert fee.gl_account == "220"
    assert found.subtotal == D("1829.00")
    assert sum(line.tax for line in found.lines) == found.tax == D("182.90")


@pytest.mark.parametrize("positive", [False, True])
def test_credit_memos_are_positive(driver: Driver, positive: bool) -> None:
    driver.sandbox.world.behaviour.positive_credit_memos = positive
    line = NewLine(item="EDR", quantity=4, price=D("7.25"))
    driver.create(NewInvoice(company=1, type="CreditMemo", department=1, lines=(line,)))
    [found], _ = driver.everything("invoices")
    assert found.kind is DocumentKind.CREDIT_MEMO
    assert (found.subtotal, found.tax, found.total) == (D("29.00"), D("2.90"), D("31.90"))
    assert [line.amount for line in found.lines] == [D("29.00")]
    assert found.balance == D("31.90")


def test_two_rates_zero_rate_and_several_levels(driver: Driver) -> None:
    lines = (
        NewLine(item="EDR", quantity=1, price=D("10.05"), tax_code="GST"),
        NewLine(item="EDR", quantity=1, price=D("33.33"), tax_code="GST-FREE"),
        NewLine(item="EDR", quantity=1, price=D("77.77"), tax_code="US-CA"),
        NewLine(item="EDR", quantity=1, price=D("5.00"), taxable=False),
    )
    driver.create(NewInvoice(company=1, lines=lines))
    [found], _ = driver.everything("invoices")
    assert [line.tax_code for line in found.lines][:3] == ["GST", "GST-FREE", "US-CA"]
    assert [line.taxable for line in found.lines] == [True, True, True, False]
    taxes = [line.tax for line in found.lines]
    assert (taxes[0], taxes[1], taxes[3]) == (D("1.01"), D(0), D(0))
    assert sum(taxes) == found.tax


def ordered(driver: Driver) -> int:
    world = driver.sandbox.world
    api = driver.adapter._client  # raw writes that the product itself never makes
    body = {
        "status": {"id": 1},
        "terms": {"id": 1},
        "vendorCompany": {"id": 2},
        "locationId": 1,
        "taxCode": {"id": 1},
        "freightCost": 15,
    }
    order = api._write("POST", "/procurement/purchaseorders", body).decode(dict[str, Any])
    for number, item in enumerate((1, 2), start=1):
        line = {
            "lineNumber": number,
            "product": {"id": item},
            "description": f"Thing {number}",
            "quantity": 2,
            "unitCost": D("371.25"),
            "unitOfMeasure": {"id": 1},
        }
        api._write("POST", f"/procurement/purchaseorders/{order['id']}/lineitems", line)
    assert world.all("purchaseOrderLines")
    return int(order["id"])


def test_received_orders_become_bills(driver: Driver) -> None:
    order = ordered(driver)
    [whole], _ = driver.everything("purchase_orders")
    assert isinstance(whole, Document)
    assert (whole.kind, whole.external_id) == (DocumentKind.PURCHASE_ORDER, str(order))
    # What was ordered waits to be received; the freight comes with a bill, and is not received.
    assert (whole.balance, whole.subtotal) == (D("1485.00"), D("1500.00"))
    assert whole.subtotal == sum(line.amount for line in whole.lines)
    assert driver.adapter.document(DocumentKind.PURCHASE_ORDER, whole.external_id) == whole
    assert driver.adapter.mark_posted(DocumentKind.PURCHASE_ORDER, whole.external_id, "x") == ""
    purchasing.receive(
        driver.sandbox.world, order, "PS-1", quantities={1: 2}, vendor_invoice="INV-900"
    )
    [bill, whole], _ = driver.everything("purchase_orders")
    assert isinstance(bill, Document)
    assert (bill.kind, bill.external_id) == (DocumentKind.BILL, f"{order}-PS-1")
    assert (bill.vendor_number, bill.location) == ("INV-900", "Sydney")
    assert (bill.subtotal, bill.tax) == (D("757.50"), D("74.25"))
    assert (bill.tax_code, bill.lines[0].category) == ("GST", "Hardware")
    other = driver.adapter.web_address("bill", f"{order}-PS 2")
    assert driver.adapter.web_address("bill", bill.external_id) == other.replace("PS%202", "PS-1")
    assert driver.adapter.document(DocumentKind.BILL, bill.external_id) == bill
    assert driver.adapter.document(DocumentKind.BILL, f"{order}-PS-9") is None
    assert driver.adapter.document(DocumentKind.BILL, "999-PS-1") is None
    batch = driver.adapter.mark_posted(DocumentKind.BILL, bill.external_id, "Psaltery bill")
    assert batch
    [marked, _], _ = driver.everything("purchase_orders")
    assert marked.posted
    driver.adapter.unmark_posted(batch)
    assert not driver.everything("purchase_orders")[0][0].posted


def test_lookups_are_whole_and_named(driver: Driver) -> None:
    found, _ = driver.everything("lookups")
    by_list: dict[str, list[Any]] = {}
    people = [row for row in found if isinstance(row, Company)]
    for row in found:
        if isinstance(row, Lookup):
            by_list.setdefault(row.list, []).append(row)
    # Expenses are owed to members, so that they are companies too.
    assert [one.name for one in people] == [row.name for row in by_list["members"]]
    assert people[0].external_id == f"member:{by_list['members'][0].external_id}"
    assert {row.name for row in by_list["locations"]} == {"Sydney", "Adelaide", "Auckland"}
    assert {row.code: row.rate for row in by_list["tax_codes"]}["GST"] == D("10")
    assert "EDR" in {row.code for row in by_list["catalog_items"]}
    assert {row.code for row in by_list["currencies"]} >= {"AUD", "NZD"}
    for name in ("departments", "members", "work_types", "work_roles", "boards", "gl_accounts"):
        assert by_list[name], name


def test_a_feed_that_does_not_exist(driver: Driver) -> None:
    with pytest.raises(BadSettings):
        driver.adapter.pull("payrolls", None)


def test_a_site_that_takes_dates_only(driver: Driver) -> None:
    driver.sandbox.world.behaviour.date_only_conditions = True
    _, cursor = driver.everything("companies")
    driver.sandbox.world.change("companies", 3, name="New name")
    found, cursor = driver.everything("companies", cursor)
    assert [row.name for row in found] == ["New name"]
    driver.calls()
    driver.everything("companies", cursor)
    assert len(driver.calls()) == 1  # remembered, not tried again


def test_a_site_that_does_not_know_forward_only_paging(driver: Driver) -> None:
    closed(driver, 7)

    def old_site(environ: dict[str, Any]) -> None:
        environ.pop("HTTP_PAGINATION_TYPE", None)
        known = [part for part in environ["QUERY_STRING"].split("&") if "pageId" not in part]
        if not any("orderBy" in part for part in known):
            known.append("orderBy=invoiceNumber desc")
        environ["QUERY_STRING"] = "&".join(known)

    driver.before = old_site
    found = []
    more, after = True, 0
    while more:
        rows = driver.adapter._client.page("/finance/invoices", wire.Id, after=after, size=3)
        found += [row.id for row in rows.rows]
        more, after = rows.more, rows.last
    assert found == [1, 2, 3, 4, 5, 6, 7]
