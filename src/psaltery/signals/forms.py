"""What people enter about alerts: limits, snoozes, and the board of renewals."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms

from psaltery.accounts.models import Person
from psaltery.signals.catalogue import SIGNALS
from psaltery.signals.models import Renewal
from psaltery.signals.thresholds import LIMITS, Thresholds


class LimitsForm(forms.Form):
    """All limits, by signal, and which signals are looked for."""

    def __init__(self, *args: Any, now: Thresholds, muted: set[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for signal in SIGNALS:
            self.fields[f"on_{signal.code}"] = forms.BooleanField(
                label="Look for it", required=False, initial=signal.code not in muted
            )
        for limit in LIMITS:
            self.fields[limit.name] = forms.DecimalField(
                label=limit.label,
                min_value=limit.least,
                max_value=limit.most,
                max_digits=12,
                decimal_places=2,
                initial=_plain(getattr(now, limit.name)),
                # So that whoever changed a limit can find the way back.
                help_text=f"As shipped: {_plain(getattr(Thresholds(), limit.name))}",
            )

    def groups(self) -> list[tuple[Any, list[forms.BoundField]]]:
        """Each signal with its fields."""
        return [
            (
                signal,
                [self[f"on_{signal.code}"]]
                + [self[limit.name] for limit in LIMITS if limit.signal == signal.code],
            )
            for signal in SIGNALS
        ]

    def limits(self) -> Mapping[str, Decimal]:
        """The limits that were entered."""
        return {limit.name: self.cleaned_data[limit.name] for limit in LIMITS}

    def muted(self) -> set[str]:
        """The signals that were switched off."""
        return {one.code for one in SIGNALS if not self.cleaned_data[f"on_{one.code}"]}


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"


class SnoozeForm(forms.Form):
    """For how long, and why."""

    days = forms.IntegerField(label="Days", min_value=1, max_value=365, initial=7)
    note = forms.CharField(label="Why", required=False, max_length=500)


class NoteForm(forms.Form):
    """A remark."""

    note = forms.CharField(label="Note", required=False, max_length=500)


class RenewalForm(forms.Form):
    """Where a customer at risk stands, whose it is, and what was said."""

    stage = forms.ChoiceField(label="Stage", choices=Renewal.Stage.choices)
    owner = forms.ModelChoiceField(
        label="Owner",
        queryset=Person.objects.filter(is_active=True).order_by("name"),
        required=False,
        empty_label="Nobody",
    )
    note = forms.CharField(
        label="Note", required=False, max_length=2_000, widget=forms.Textarea(attrs={"rows": 3})
    )
