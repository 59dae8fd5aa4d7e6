"""The form of the webhook page."""

from django import forms


class KeyForm(forms.Form):
    key = forms.CharField(
        label="Signing key",
        help_text="“Webhooks key” of your app at developer.xero.com. It is sealed at once, and "
        "never shown again.",
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        max_length=500,
        min_length=16,
    )
