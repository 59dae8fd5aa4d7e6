"""The forms of exceptions: one for each repair that asks something, and snooze, assign, comment.

Choices are what the books have and allow; whether an answer is right is the repair's to say.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from psaltery.accounts.models import Person, Role
from psaltery.connections.models import Organisation
from psaltery.ledger.models import Customer, LedgerAccount, LedgerTrackingOption
from psaltery.review.models import Card

Choices = Sequence[tuple[str, str]]
_CLASSES = {
    "REVENUE": "Income",
    "EXPENSE": "Expenses",
    "ASSET": "Assets",
    "LIABILITY": "Liabilities",
    "EQUITY": "Equity",
}
SEPARATOR = "|"


class RepairForm(forms.Form):
    """A repair's questions; `answers` is what the repair takes."""

    def answers(self) -> dict[str, str]:
        """The cleaned values as text, none left out."""
        return {name: str(value or "") for name, value in self.cleaned_data.items()}


class MapForm(RepairForm):
    """What a key becomes, and for which key: the first tried, or one further down the chain."""

    target = forms.ChoiceField()
    scope = forms.ChoiceField(label="For", widget=forms.RadioSelect, required=False)

    def __init__(
        self, data: Any, label: str, choices: Sequence[Any], scopes: Choices, prefix: str
    ) -> None:
        super().__init__(data, prefix=prefix)
        target = self.fields["target"]
        assert isinstance(target, forms.ChoiceField)
        target.label, target.choices = label, [("", "Choose…"), *choices]
        scope = self.fields["scope"]
        assert isinstance(scope, forms.ChoiceField)
        # One key alone is no question.
        if len(scopes) > 1:
            scope.choices, scope.initial = scopes, scopes[0][0]
        else:
            del self.fields["scope"]

    def answers(self) -> dict[str, str]:
        """The target, and the key that was chosen."""
        given = super().answers()
        kind, _, key = given.pop("scope", "").partition(SEPARATOR)
        return {**given, "key_kind": kind, "key": key} if kind else given


class RouteForm(RepairForm):
    """Which organisation documents go to, and which documents."""

    organisation = forms.ChoiceField(label="They go to")
    scope = forms.ChoiceField(label="Which documents", widget=forms.RadioSelect)

    def __init__(self, data: Any, organisations: Choices, scopes: Choices, prefix: str) -> None:
        super().__init__(data, prefix=prefix)
        organisation, scope = self.fields["organisation"], self.fields["scope"]
        assert isinstance(organisation, forms.ChoiceField)
        assert isinstance(scope, forms.ChoiceField)
        organisation.choices = [("", "Choose…"), *organisations]
        scope.choices, scope.initial = scopes, scopes[0][0] if scopes else None

    def answers(self) -> dict[str, str]:
        """The organisation, and the field and value of the new rule."""
        given = super().answers()
        field, _, value = given.pop("scope", "").partition(SEPARATOR)
        return {**given, "field": field, "value": value}


class ContactForm(RepairForm):
    """The contact that the company is; the page lists candidates as radio buttons."""

    contact = forms.CharField(
        label="Contact", error_messages={"required": "Choose the contact that the company is."}
    )


class MoneyForm(RepairForm):
    """The invoice that money is applied to; the page lists candidates as radio buttons."""

    invoice = forms.CharField(
        label="Invoice", error_messages={"required": "Choose the invoice that was meant."}
    )


class NewContactForm(RepairForm):
    """The name of the contact to create."""

    name = forms.CharField(label="Name in the books", max_length=255)


class NumberForm(RepairForm):
    """Another number in the books."""

    number = forms.CharField(label="Number in the books", max_length=64)


class NothingAsked(RepairForm):
    """A repair that needs no answer."""


def account_choices(
    organisation: Organisation | None, usable: Collection[str], *, bought: bool
) -> list[Any]:
    """The usable accounts by class: income first for what is sold, expenses for what is bought."""
    rows = list(LedgerAccount.objects.filter(organisation=organisation, code__in=usable))
    order = sorted(_CLASSES, key=lambda name: name != ("EXPENSE" if bought else "REVENUE"))
    groups: list[Any] = []
    for name in order:
        members = [(row.code, str(row)) for row in rows if row.account_class == name]
        if members:
            groups.append((_CLASSES[name], members))
    return groups


def tracking_choices(organisation: Organisation | None) -> list[Any]:
    """Active options, by category."""
    rows = LedgerTrackingOption.objects.filter(organisation=organisation, active=True)
    groups: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        groups.setdefault(row.category, []).append((row.external_id, row.name))
    return list(groups.items())


def contact_words(contact: Customer) -> str:
    """What tells one contact from another of the same name."""
    parts = [contact.email, contact.city, contact.account_number]
    return " · ".join(part for part in parts if part)


# What people do with a card beside repairing it.

_DAYS = {"tomorrow": 1, "3 days": 3, "a week": 7, "a month": 30}


class SnoozeForm(forms.Form):
    """Until when a card is put aside."""

    until = forms.DateField(
        label="Until", widget=forms.DateInput(attrs={"type": "date"}), required=False
    )
    span = forms.ChoiceField(choices=[(name, name) for name in _DAYS], required=False)

    def clean(self) -> dict[str, Any]:
        """The moment at which the card comes back: that morning, in the person's time zone."""
        given: dict[str, Any] = super().clean() or {}
        today = timezone.localdate()
        day = given.get("until")
        if day is None and given.get("span"):
            day = today + timedelta(days=_DAYS[given["span"]])
        if day is None or day <= today:
            raise forms.ValidationError("Choose a day after today.")
        # Put aside for years is the same as lost.
        if day > today + timedelta(days=366):
            raise forms.ValidationError("Choose a day within a year.")
        # At eight: it is there when the day's work begins, not at midnight.
        given["at"] = timezone.make_aware(datetime.combine(day, time(8)))
        return given


class AssignForm(forms.Form):
    """Whose card it is."""

    owner = forms.ModelChoiceField(
        label="Owner", queryset=Person.objects.none(), required=False, empty_label="Nobody"
    )

    def __init__(self, card: Card, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(data, initial={"owner": card.owner_id})
        field = self.fields["owner"]
        assert isinstance(field, forms.ModelChoiceField)
        # Who only looks can't mend it: a card of theirs would wait for ever.
        able = [Role.BOOKKEEPER, Role.ADMIN]
        field.queryset = Person.objects.filter(is_active=True, role__in=able).order_by("name")


class CommentForm(forms.Form):
    """A remark."""

    text = forms.CharField(
        label="Comment", max_length=4000, widget=forms.Textarea(attrs={"rows": 2})
    )
