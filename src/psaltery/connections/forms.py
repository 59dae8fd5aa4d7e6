"""The connect form of any adapter, made from its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.urls import reverse

from psaltery.adapters.contract import CredentialField, Manifest, Role
from psaltery.connections import service
from psaltery.connections.models import Connection

READ_ONLY = "read_only"


class ConnectForm(forms.Form):
    """Name and fields of a connection; each is checked when it is left, and all when sent."""

    def __init__(
        self, manifest: Manifest, data: Any = None, connection: Connection | None = None
    ) -> None:
        self.manifest, self.connection = manifest, connection
        super().__init__(data, initial=self._stored())
        self.fields["name"] = forms.CharField(
            label="Name",
            error_messages={"required": "Give the connection a name."},
            initial=manifest.label,
            help_text="Yours to choose; it is what every page calls this connection.",
            widget=forms.TextInput(attrs=self._checked("name")),
        )
        for field in manifest.fields:
            self.fields[field.name] = self._field(field)
        if manifest.role == Role.BOOKS:
            self.fields[READ_ONLY] = forms.BooleanField(
                label="Read only",
                required=False,
                help_text="Asks for permission to read alone: nothing is ever written.",
            )

    def values(self) -> dict[str, str]:
        """What was entered, by the manifest's field names."""
        return {field.name: self.cleaned_data.get(field.name, "") for field in self.manifest.fields}

    def clean(self) -> dict[str, Any]:
        """The service's own rules, put beside the fields."""
        cleaned = super().clean() or self.cleaned_data
        for name, sentence in self.wrong(cleaned).items():
            if name not in self.errors:
                self.add_error(name, sentence)
        return cleaned

    def wrong(self, entered: Mapping[str, str]) -> dict[str, str]:
        """What is wrong with the entered values, by field."""
        own = self.connection.pk if self.connection else 0
        return service.problems(self.manifest.kind, entered.get("name", ""), entered, own=own)

    def _stored(self) -> dict[str, Any]:
        if self.connection is None:
            return {}
        kept = {"name": self.connection.name, READ_ONLY: self.connection.read_only}
        return {**self.connection.fields, **kept}

    def _field(self, field: CredentialField) -> forms.Field:
        attributes = self._checked(field.name)
        if field.placeholder:
            attributes["placeholder"] = field.placeholder
        stored = field.secret and self.connection is not None and bool(self.connection.secrets)
        shared: dict[str, Any] = {
            "label": field.label,
            "required": field.required and not stored,
            "error_messages": {"required": f"{field.label} is needed."},
            "help_text": field.help,
        }
        if field.choices:
            select = forms.Select(attrs=attributes)
            unset = () if field.required else (("", "Not set"),)
            return forms.ChoiceField(choices=(*unset, *field.choices), widget=select, **shared)
        if not field.secret:
            return forms.CharField(widget=forms.TextInput(attrs=attributes), **shared)
        if stored:
            shared["help_text"] = f"Leave empty to keep the one that is stored. {field.help}"
        # Browsers would offer the person's own password in here.
        attributes["autocomplete"] = "new-password"
        return forms.CharField(widget=forms.PasswordInput(attrs=attributes), **shared)

    def _checked(self, name: str) -> dict[str, str]:
        """Attributes that have a field checked by the server when it is left."""
        address = reverse("connections:check", args=[self.manifest.kind])
        own = f"&connection={self.connection.pk}" if self.connection else ""
        return {
            "hx-post": f"{address}?field={name}{own}",
            "hx-trigger": "change",
            "hx-target": f"#field-{name}",
            "hx-swap": "innerHTML",
            "autocomplete": "off",
        }
