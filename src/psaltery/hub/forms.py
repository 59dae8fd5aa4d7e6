"""How a customer is billed."""

from typing import Any

from django import forms

from psaltery.portfolio.models import Customer


class BillingForm(forms.Form):
    """Keeps signals about missing invoices silent where none is due."""

    billing = forms.ChoiceField(label="Billing", choices=Customer.Billing.choices)
    billed_to = forms.CharField(
        label="Billed to",
        required=False,
        help_text="The name of the customer that gets this one's invoices.",
    )

    def clean(self) -> dict[str, Any]:
        """The customer that is billed instead, by its name."""
        values = super().clean() or {}
        values["parent"] = None
        if values.get("billing") == Customer.Billing.PARENT:
            name = values.get("billed_to", "").strip()
            # By name, because that is what people know; one that is not found is said, never
            # guessed.
            values["parent"] = Customer.objects.filter(name__iexact=name).first() if name else None
            if values["parent"] is None:
                self.add_error("billed_to", f"No customer is called {name or 'nothing'!r}.")
        return values
