"""Forms of rules and channels."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator

from psaltery.connections.models import Organisation
from psaltery.notify import service
from psaltery.notify.models import Recipient, Rule
from psaltery.notify.webhooks import problem_with
from psaltery.records.psa import DocumentKind
from psaltery.review.catalogue import CATALOGUE

TOPICS = (
    ("posting", "Documents on their way to the books"),
    ("payment", "Payments on their way back"),
    ("drift", "Changes made in the books to what was posted"),
    ("connection", "Connections, feeds and what Psaltery itself needs"),
    ("alert", "Alerts about customers and sources"),
)
KINDS = (
    (DocumentKind.INVOICE.value, "Invoices"),
    (DocumentKind.CREDIT_MEMO.value, "Credit memos"),
    (DocumentKind.BILL.value, "Bills"),
    (DocumentKind.EXPENSE.value, "Expenses"),
    (DocumentKind.PURCHASE_ORDER.value, "Purchase orders"),
)
HOURS = [(hour, f"{hour:02}:00") for hour in range(24)]
CODES = sorted(((code, one.title) for code, one in CATALOGUE.items()), key=lambda pair: pair[1])
_ALL = "None ticked means all."
# Said where it is chosen: a rule that lets pass what nobody asked of it would seem broken.
_STOPS = (
    f"{_ALL} Connections that stop are told whatever is ticked here: they stop all record types. "
    "To leave them out, tick only others under About."
)


def _ticks(
    label: str, choices: Sequence[tuple[Any, str]], help_text: str = _ALL
) -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(
        label=label,
        choices=choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=help_text,
    )


class RuleForm(forms.Form):
    """When, of what, and how much a recipient hears."""

    timing = forms.ChoiceField(
        label="Tell it", choices=Rule.Timing.choices, widget=forms.RadioSelect, initial="at_once"
    )
    wait_minutes = forms.IntegerField(
        label="Only what has lasted, in minutes",
        initial=2,
        validators=[MinValueValidator(0), MaxValueValidator(1440)],
        help_text="What mends itself sooner is not told; causes that mostly do so wait 15 minutes "
        "at least.",
    )
    hour = forms.TypedChoiceField(label="Time of day", choices=HOURS, coerce=int, initial=8)
    workdays = forms.BooleanField(label="On working days only", required=False)
    least_severity = forms.ChoiceField(
        label="How grave", choices=Rule.Severity.choices, initial="warning"
    )
    topics = _ticks("About", TOPICS)
    kinds = _ticks("Record types", KINDS, _STOPS)
    organisations = forms.ModelMultipleChoiceField(
        label="Organisations",
        queryset=Organisation.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_ALL,
    )
    least_amount = forms.DecimalField(
        label="From this amount on",
        required=False,
        min_value=0,
        max_digits=15,
        decimal_places=2,
        help_text="What an exception holds, in the documents' own currency. Exceptions that hold "
        "no document, and connections that stop, are told whatever is entered.",
    )
    codes = forms.MultipleChoiceField(
        label="Causes",
        choices=CODES,
        required=False,
        widget=forms.SelectMultiple(attrs={"size": 6}),
        help_text="None chosen means all.",
    )
    only_mine = forms.BooleanField(
        label="Only what is assigned to me",
        required=False,
    )
    tell_resolved = forms.BooleanField(label="Tell when it is mended", required=False)

    def __init__(self, recipient: Recipient, rule: Rule | None = None, data: Any = None) -> None:
        super().__init__(data, initial=_initial(rule) if rule else None)
        field = self.fields["organisations"]
        assert isinstance(field, forms.ModelMultipleChoiceField)
        field.queryset = Organisation.objects.filter(chosen=True).order_by("name")
        # Nothing is ever assigned to a channel.
        if recipient.person is None:
            del self.fields["only_mine"]

    def values(self) -> dict[str, Any]:
        """What was entered, by the rule's field names; the organisations apart."""
        return {name: self.cleaned_data[name] for name in self.fields if name != "organisations"}


def _initial(rule: Rule) -> dict[str, Any]:
    names = [name for name in RuleForm.base_fields if name != "organisations"]
    values = {name: getattr(rule, name) for name in names}
    if rule.least_amount is not None:
        values["least_amount"] = rule.least_amount.quantize(Decimal("0.01"))
    return {**values, "organisations": rule.organisations.all()}


class ChannelForm(forms.Form):
    """A channel's kind, name and webhook address."""

    kind = forms.ChoiceField(
        label="Where",
        choices=[(one.value, one.label) for one in (Recipient.Kind.SLACK, Recipient.Kind.TEAMS)],
        widget=forms.RadioSelect,
        initial="slack",
    )
    name = forms.CharField(label="Name of the channel", max_length=80)
    address = forms.CharField(
        label="Webhook address",
        max_length=2000,
        help_text="Slack: an app's incoming webhook. Teams: a workflow of the template “When a "
        "Teams webhook request is received”. It is kept sealed and never shown again.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, channel: Recipient | None = None, data: Any = None) -> None:
        super().__init__(data, initial={"name": channel.name} if channel else None)
        if channel is not None:
            del self.fields["kind"]
            # The stored address is a secret: it is replaced, never shown.
            self.fields["address"].required = False
            self.fields["address"].help_text = "Leave empty to keep the one that is stored."

    def clean_address(self) -> str:
        """The service's own rules, put beside the field."""
        address: str = self.cleaned_data["address"].strip()
        if address and (wrong := problem_with(address)):
            raise forms.ValidationError(wrong)
        return address

    def add(self) -> Recipient:
        """Store a new channel."""
        data = self.cleaned_data
        return service.add_channel(data["kind"], data["name"], data["address"])
