"""Forms of the set-up, people, tokens, profile and settings pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

from django import forms

from psaltery.accounts.models import Installation, Person, Role, Scope
from psaltery.accounts.service import SCOPE_ROLES, validate_password

if TYPE_CHECKING:
    FormOfPerson = forms.ModelForm[Person]
    FormOfInstallation = forms.ModelForm[Installation]
else:
    # Django's forms take no type parameter while they run.
    FormOfPerson = FormOfInstallation = forms.ModelForm

# Zones without a place ("Etc/GMT+3", "EST5EDT") only confuse whoever looks for a city.
ZONES = sorted(zone for zone in available_timezones() if "/" in zone and "Etc/" not in zone)
ZONE_CHOICES = [("UTC", "UTC"), *((zone, zone.replace("_", " ")) for zone in ZONES)]


def zone_field(label: str = "Time zone") -> forms.ChoiceField:
    return forms.ChoiceField(label=label, choices=ZONE_CHOICES, initial="UTC")


class SetUpForm(forms.Form):
    msp_name = forms.CharField(label="Name of your company", max_length=120)
    name = forms.CharField(label="Your name", max_length=120)
    email = forms.EmailField(label="Your e-mail address")
    password = forms.CharField(
        label="Password",
        help_text="10 characters or more.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    time_zone = zone_field()

    def clean_password(self) -> str:
        password: str = self.cleaned_data["password"]
        # Not stored: only to compare the password with the person's own name and address.
        stranger = Person(
            email=self.cleaned_data.get("email", ""), name=self.cleaned_data.get("name", "")
        )
        validate_password(password, stranger)
        return password


class ProfileForm(FormOfPerson):
    time_zone = zone_field()

    class Meta:
        model = Person
        fields = ("name", "time_zone", "theme")


class AddPersonForm(forms.Form):
    name = forms.CharField(label="Name", max_length=120)
    email = forms.EmailField(label="E-mail address")
    role = forms.ChoiceField(label="Role", choices=Role.choices, initial=Role.VIEWER)


class PersonForm(FormOfPerson):
    class Meta:
        model = Person
        fields = ("name", "role", "is_active")
        help_texts = {"is_active": "Without this every session ends at once; the history stays."}


class TokenForm(forms.Form):
    name = forms.CharField(
        label="Name", max_length=80, help_text="What it is for, such as Power BI or a script."
    )
    scope = forms.ChoiceField(label="What it may do")
    days = forms.TypedChoiceField(
        label="Valid for",
        choices=[("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("", "until revoked")],
        coerce=int,
        empty_value=None,
        required=False,
        initial="90",
    )

    def __init__(self, person: Person, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        scope = self.fields["scope"]
        assert isinstance(scope, forms.ChoiceField)
        scope.choices = [(one.value, one.label) for one in Scope if person.may(SCOPE_ROLES[one])]


class InstallationForm(FormOfInstallation):
    time_zone = zone_field("Time zone of new people")

    class Meta:
        model = Installation
        fields = ("msp_name", "time_zone", "audit_retention_days")
        help_texts = {"audit_retention_days": "30 to 365; empty keeps it for ever."}
