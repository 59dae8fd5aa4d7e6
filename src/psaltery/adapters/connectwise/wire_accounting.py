"""Tax codes and the Accounting Interface as structs; lenient like wire.py.

https://developer.connectwise.com/Products/ConnectWise_PSA/REST#/Accountings
"""

from decimal import Decimal

from psaltery.adapters.connectwise.wire import Record, Ref, Wire


class TaxCode(Record):
    """Up to six levels; they are flat on the wire and gathered by `taxes.levels`."""

    identifier: str | None = None
    description: str | None = None
    cancel_date: str | None = None
    default_flag: bool | None = None
    level_one_rate: Decimal | None = None
    level_one_rate_type: str | None = None
    level_one_services_flag: bool | None = None
    level_one_products_flag: bool | None = None
    level_one_expenses_flag: bool | None = None
    level_one_taxable_max: Decimal | None = None
    level_one_tax_code_xref: str | None = None
    level_two_rate: Decimal | None = None
    level_two_rate_type: str | None = None
    level_two_services_flag: bool | None = None
    level_two_products_flag: bool | None = None
    level_two_expenses_flag: bool | None = None
    level_two_taxable_max: Decimal | None = None
    level_two_tax_code_xref: str | None = None
    level_three_rate: Decimal | None = None
    level_three_rate_type: str | None = None
    level_three_services_flag: bool | None = None
    level_three_products_flag: bool | None = None
    level_three_expenses_flag: bool | None = None
    level_three_taxable_max: Decimal | None = None
    level_three_tax_code_xref: str | None = None
    level_four_rate: Decimal | None = None
    level_four_rate_type: str | None = None
    level_four_services_flag: bool | None = None
    level_four_products_flag: bool | None = None
    level_four_expenses_flag: bool | None = None
    level_four_taxable_max: Decimal | None = None
    level_four_tax_code_xref: str | None = None
    level_five_rate: Decimal | None = None
    level_five_rate_type: str | None = None
    level_five_services_flag: bool | None = None
    level_five_products_flag: bool | None = None
    level_five_expenses_flag: bool | None = None
    level_five_taxable_max: Decimal | None = None
    level_five_tax_code_xref: str | None = None
    level_six_rate: Decimal | None = None
    level_six_rate_type: str | None = None
    level_six_services_flag: bool | None = None
    level_six_products_flag: bool | None = None
    level_six_expenses_flag: bool | None = None
    level_six_taxable_max: Decimal | None = None
    level_six_tax_code_xref: str | None = None


class ExportDetail(Wire):
    """A GL-coded row of an invoice. Signs are the credit side's: revenue is negative."""

    id: int | None = None
    gl_type_id: str | None = None
    account_number: str | None = None
    product_account_number: str | None = None
    gl_class: str | None = None
    quantity: Decimal | None = None
    total: Decimal | None = None
    item: Ref | None = None
    product: Ref | None = None
    time_entry: Ref | None = None
    sub_category: Ref | None = None
    taxable_flag: bool | None = None
    description: str | None = None


class ExportTransaction(Wire):
    id: int | None = None
    gl_type_id: str | None = None
    document_type: str | None = None
    document_number: str | None = None
    # Comma-separated. A batch needs these and the ids of the details.
    gl_entry_ids: str | None = None
    total: Decimal | None = None
    detail: list[ExportDetail] | None = None


class ExportPurchase(Wire):
    id: str | None = None
    document_number: str | None = None
    packing_slip: str | None = None
    purchase_detail: list[ExportDetail] | None = None
    purchase_detail_tax: list[ExportDetail] | None = None


class ExportExpense(Wire):
    id: int | None = None


class ExportExpenseBillDetail(Wire):
    # A list here, one number everywhere else.
    id: list[int] | None = None


class ExportExpenseBill(Wire):
    id: int | None = None
    detail: list[ExportExpenseBillDetail] | None = None


class GLExport(Wire):
    transactions: list[ExportTransaction] | None = None
    purchase_transactions: list[ExportPurchase] | None = None
    expenses: list[ExportExpense] | None = None
    expense_bills: list[ExportExpenseBill] | None = None


class UnpostedProcurement(Record):
    # Text, unlike the ids of invoices and expenses: exports include products by it.
    unposted_product_id: str | None = None
    procurement_type: str | None = None
    purchase_order: Ref | None = None
    vendor_invoice_number: str | None = None


class AccountingBatch(Record):
    batch_identifier: str | None = None
    closed_flag: bool | None = None
