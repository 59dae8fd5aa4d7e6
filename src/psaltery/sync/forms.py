"""The form of an organisation's settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
from django import forms

from psaltery.adapters import registry
from psaltery.adapters.contract import Role
from psaltery.adapters.errors import BadSettings
from psaltery.connections.models import Budget, Feed, Organisation
from psaltery.ledger.models import LedgerAccount, LedgerBrandingTheme
from psaltery.mapping.service import account_problem
from psaltery.posting.policy import Policy, read_policy
from psaltery.posting.queries import books_organisations
from psaltery.posting.rates import fixed_rates
from psaltery.records.books import Status
from psaltery.sync.organisations import Wanted, interval_text

STATUSES = [
    (Status.DRAFT.value, "Drafts: somebody approves them in the books"),
    (Status.SUBMITTED.value, "Awaiting approval"),
    (Status.AUTHORISED.value, "Authorised: they count at once"),
]
BILL_STATUSES = [*STATUSES[:2], (Status.AUTHORISED.value, "Authorised: they are to be paid")]
LOCKS = [
    ("hold", "wait until the lock is moved"),
    ("draft", "become drafts on the first open day, with the PSA's date as reference"),
    ("next_day", "go on the first open day, with the PSA's date as reference"),
]
# The shortest is for big plans: six lists every five minutes take 1,728 calls a day, and Xero's
# smallest plan has 1,000 for an organisation.
# https://developer.xero.com/documentation/guides/oauth2/limits/
INTERVALS = (300, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400)
FEED = "every_"


def _switch(label: str, help_text: str) -> forms.BooleanField:
    return forms.BooleanField(label=label, help_text=help_text, required=False)


def _day(label: str, help_text: str) -> forms.DateField:
    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    return forms.DateField(label=label, help_text=help_text, widget=widget, required=False)


class OrganisationForm(forms.Form):
    """Policies, schedule and calls of one organisation. What is never posted to has no policies."""

    status = forms.ChoiceField(label="Posted documents are", choices=STATUSES)
    draft_first = _switch(
        "A customer's first invoice is a draft",
        "Until the books have an approved one of theirs.",
    )
    draft_above = forms.DecimalField(
        label="Invoices of more than this are drafts",
        help_text="Total with tax, in the invoice's currency. Empty: none are.",
        min_value=0,
        max_digits=12,
        decimal_places=2,
        required=False,
    )
    credit_notes = _switch(
        "Credit memos become credit notes",
        "Otherwise they are listed as skipped.",
    )
    bills = _switch(
        "Received purchase orders become bills",
        "With the vendor's invoice number. Map purchase accounts and taxes first.",
    )
    bill_status = forms.ChoiceField(label="Bills are", choices=BILL_STATUSES)
    expenses = forms.ChoiceField(
        label="Approved expenses",
        choices=[
            ("off", "are not posted"),
            ("bills", "become bills, owed to the member"),
            ("spend", "become money spent"),
        ],
    )
    spend_account = forms.ChoiceField(
        label="Money is spent from",
        help_text="For expenses that become money spent. Connect with bank transactions allowed.",
        required=False,
    )
    purchase_orders = _switch(
        "Purchase orders go to the books",
        "Kept up to date until all was received and its bill is posted: billed then.",
    )
    items = _switch(
        "Products become items",
        "Each is created when a line first needs it, and follows the PSA's catalogue.",
    )
    psa_payments = _switch(
        "Payments entered in the PSA become payments",
        "Map the account of each payment method first. Credit memos applied there are applied in "
        "the books too. Ours are never sent back.",
    )
    payments_each = _switch(
        "The PSA shows each payment by itself",
        "With its own date, where the PSA takes several payments an invoice. Otherwise one has "
        "their sum and the latest date. An invoice follows with the next change of its money.",
    )
    payments_reconciled = _switch(
        "Payments count once they are reconciled",
        "The PSA hears of a payment when the books have matched it with the bank's statement. "
        "Until then its invoice stays open there, and says so.",
    )
    create_contacts = _switch(
        "Create contacts that the books don't have",
        "Otherwise a document of an unknown customer is held, and you link or create it.",
    )
    contacts = forms.ChoiceField(
        label="Linked contacts",
        choices=[
            ("link", "are only linked: the books keep their own data"),
            ("keep", "are kept in step with what changes in the PSA"),
        ],
        help_text="Customers and suppliers alike. Only what changed is written.",
    )
    post_from = _day(
        "Post documents from",
        "Older ones are linked where the books have them, and otherwise skipped.",
    )
    due_days = forms.IntegerField(
        label="Due after days",
        help_text="Where the PSA gives no due date.",
        min_value=0,
        max_value=365,
    )
    adjustment_cap = forms.DecimalField(
        label="Rounding, at most",
        help_text="The greatest line that may be added so that the total is the PSA's to the cent.",
        min_value=0,
        max_value=10,
        decimal_places=2,
    )
    adjustment_account = forms.ChoiceField(label="Rounding goes to", required=False)
    branding_theme_id = forms.ChoiceField(label="Branding theme", required=False)
    rates = forms.CharField(
        label="Fixed rates of exchange",
        help_text="Such as EUR 0.61, USD 0.6512: what one unit of the organisation's own currency "
        "buys. Others are the books' own of the day. What is posted keeps its rate.",
        max_length=500,
        required=False,
    )
    lock = forms.ChoiceField(
        label="Documents dated in a locked period",
        help_text="Nothing is written into a locked period, also where the books would allow it.",
        choices=LOCKS,
    )
    next_lock_on = _day(
        "Next lock, expected up to",
        "For the forecast of what will miss it. Empty: the end of the month.",
    )

    def __init__(self, data: Any, organisation: Organisation, feeds: Sequence[Feed]) -> None:
        self._policy = read_policy(organisation.settings)
        self._manifest = registry.manifest(organisation.connection.kind)
        super().__init__(data, initial=msgspec.structs.asdict(self._policy))
        # Where nothing is ever written, nothing about writing is offered.
        self.posts = self._manifest.role == Role.BOOKS and not organisation.connection.read_only
        if self.posts:
            self._choose("spend_account", _banks(organisation))
            self._choose("adjustment_account", _accounts(organisation))
            self._choose("branding_theme_id", _themes(organisation))
        else:
            for name in POLICY:
                del self.fields[name]
        self._limit_calls(organisation)
        for feed in feeds:
            self._add_feed(feed)

    def clean_rates(self) -> str:
        """The rates in one form, each currency once."""
        try:
            found = fixed_rates(self.cleaned_data["rates"])
        except ValueError as wrong:
            raise forms.ValidationError(str(wrong)) from wrong
        return ", ".join(f"{currency} {rate}" for currency, rate in sorted(found.items()))

    def _choose(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        current = getattr(self._policy, name)
        if current and current not in dict(choices):
            # It was removed in the books: shown, so that saving something else does not lose it.
            choices = [*choices, (current, f"{current} (no longer in the books)")]
        field.choices = choices

    def _limit_calls(self, organisation: Organisation) -> None:
        limits = self._manifest.limits
        budget = Budget.objects.filter(organisation=organisation).first()
        current = budget.per_minute if budget else limits.per_minute
        self.fields["per_minute"] = forms.IntegerField(
            label="Calls a minute, at most",
            help_text=f"{self._manifest.label} allows {limits.per_minute_most:,}, shared with all "
            f"programs that use it; {limits.per_minute:,} leaves them room.",
            min_value=1,
            # A number that was allowed once must not keep people from saving something else.
            max_value=max(limits.per_minute_most, current),
            initial=current,
        )

    def _add_feed(self, feed: Feed) -> None:
        specs = {spec.name: spec for spec in self._manifest.feeds}
        spec = specs.get(feed.name)
        offered = sorted({*INTERVALS, feed.seconds})
        self.fields[f"{FEED}{feed.name}"] = forms.ChoiceField(
            label=spec.label if spec else feed.name,
            help_text="At least; more often while money moves." if spec and spec.paced else "",
            choices=[(str(seconds), f"every {interval_text(seconds)}") for seconds in offered],
            initial=str(feed.seconds),
        )

    def wanted(self) -> Wanted:
        """What the person wants, for `change`."""
        given = self.cleaned_data
        policy = None
        if self.posts:
            values = {name: given[name] for name in POLICY}
            for name in ("status", "bill_status"):
                values[name] = Status(values[name])
            policy = msgspec.structs.replace(self._policy, **values)
        seconds = {
            name.removeprefix(FEED): int(value)
            for name, value in given.items()
            if name.startswith(FEED)
        }
        return Wanted(policy, seconds, given["per_minute"])


# Every field that is declared; those about calls and feeds are added to each form.
POLICY = tuple(OrganisationForm.base_fields)
assert set(POLICY) <= set(Policy.__struct_fields__)


def policy_with(organisation: Organisation, values: Mapping[str, str]) -> Policy:
    """The policy with these values, given as text and checked as the page checks them; "none"
    empties what may be empty.

    Raises BadSettings for a name or a value that is not known.
    """
    # The page's own form is the check: the command line stores nothing that the page would refuse.
    shown = OrganisationForm(None, organisation, [])
    if unknown := set(values) - set(POLICY):
        known = ", ".join(POLICY)
        raise BadSettings(f"There is no {min(unknown)}; there are {known}.", which="setting")
    given = {name: "" if text == "none" else text for name, text in values.items()}
    sent = {field.html_name: field.value() for field in shown}
    form = OrganisationForm(sent | given, organisation, [])
    if not form.is_valid():
        name, problems = next(iter(form.errors.items()))
        raise BadSettings(" ".join(str(problem) for problem in problems), which=name)
    policy = form.wanted().policy
    assert policy is not None
    return policy


def _accounts(organisation: Organisation) -> list[tuple[str, str]]:
    rows = LedgerAccount.objects.filter(organisation=organisation).exclude(code="")
    usable = [(row.code, str(row)) for row in rows if not account_problem(row)]
    return [("", "The books' own account for rounding"), *usable]


def _banks(organisation: Organisation) -> list[tuple[str, str]]:
    rows = LedgerAccount.objects.filter(organisation=organisation, type="BANK", active=True)
    return [("", "No account is chosen"), *((row.external_id, str(row)) for row in rows)]


def _themes(organisation: Organisation) -> list[tuple[str, str]]:
    rows = LedgerBrandingTheme.objects.filter(organisation=organisation, active=True)
    return [("", "The books' own choice"), *((row.external_id, row.name) for row in rows)]


class ItemForm(forms.Form):
    """Which item of the books a product is."""

    organisation = forms.ModelChoiceField(Organisation.objects.none(), empty_label="Choose")
    product = forms.CharField(
        label="Product", help_text="As the PSA identifies it.", max_length=128
    )
    code = forms.CharField(
        label="Item of the books",
        help_text="Its code there. Empty: the product has an item of its own again.",
        max_length=30,
        required=False,
    )

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        numbers = [int(number) for number, _ in books_organisations()]
        rows = Organisation.objects.filter(pk__in=numbers)
        cast("forms.ModelChoiceField[Organisation]", self.fields["organisation"]).queryset = rows
