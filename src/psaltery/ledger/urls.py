"""Addresses of the ledger's pages."""

from django.urls import path

from psaltery.ledger import views

app_name = "ledger"

urlpatterns = [
    path("ledger/customers/", views.customers, name="customers"),
    path("ledger/invoices/", views.invoices, name="invoices"),
    path("ledger/invoices/<int:number>/", views.invoice, name="invoice"),
    path("ledger/payments/", views.payments, name="payments"),
    path("ledger/refunds/", views.refunds, name="refunds"),
    path("ledger/credit-notes/", views.credit_notes, name="credit_notes"),
    path("ledger/unallocated/", views.unallocated, name="unallocated"),
    path("ledger/totals/<slug:page>/", views.totals, name="totals"),
]
