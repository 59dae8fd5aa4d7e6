"""Writes: setting up, people, their roles and preferences, API tokens."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from allauth.account.adapter import get_adapter
from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.core.mail import send_mail
from django.db import connection, transaction
from django.template.loader import render_to_string
from django.urls import reverse

from psaltery.accounts.models import ApiToken, Installation, Person, Role, Scope
from psaltery.accounts.queries import installation, is_set_up
from psaltery.audit.service import record_change
from psaltery.kit.clock import now
from psaltery.kit.hashing import secret_hash

KEY_PREFIX = "psaltery_"
SHOWN_OF_KEY = len(KEY_PREFIX) + 4
LAST_USED_STEP = timedelta(minutes=1)


class Refused(Exception):
    """The change is not made; the message says why, for the person who asked."""


@dataclass(frozen=True)
class FirstPerson:
    """What the set-up page asks for."""

    msp_name: str
    name: str
    email: str
    password: str
    time_zone: str


@transaction.atomic
def set_up(first: FirstPerson) -> Person:
    """Create the first administrator and name the installation. Refused once there is anybody."""
    with connection.cursor() as cursor:
        # Two visitors at once must not both become the first administrator.
        cursor.execute("LOCK TABLE people IN SHARE ROW EXCLUSIVE MODE")
    if is_set_up():
        raise Refused("This installation is set up already. Sign in instead.")
    change_installation(msp_name=first.msp_name, time_zone=first.time_zone)
    return add_person(
        first.email,
        first.name,
        Role.ADMIN,
        password=first.password,
        time_zone=first.time_zone,
    )


def change_installation(**fields: str | int | None) -> Installation:
    """Change the installation's name or defaults, given by their field names."""
    row = installation()
    for name, value in fields.items():
        setattr(row, name, value)
    row.save()
    return row


@transaction.atomic
def add_person(
    email: str, name: str, role: Role, *, password: str | None = None, time_zone: str = ""
) -> Person:
    """Add somebody. Without a password they choose one by `password_link`.

    Raises Refused where the address is taken, Django's ValidationError where a field is wrong.
    """
    if Person.objects.filter(email=email.strip().lower()).exists():
        raise Refused(f"{email} is somebody's address already.")
    fields = {"name": name, "role": role, "time_zone": time_zone or installation().time_zone}
    Person(email=email.strip(), **fields).clean_fields(exclude=["password"])
    person = Person.objects.create_user(email, password, **fields)
    # An administrator vouches for the address; signing in again for a risky step needs it.
    EmailAddress.objects.create(user=person, email=person.email, primary=True, verified=True)
    record_change(f"{person.email} was added as {role.label.lower()}.", operation="person_added")
    return person


def password_link(person: Person) -> str:
    """The address where this person sets a password: once, and for three days."""
    key = f"{user_pk_to_url_str(person)}-{default_token_generator.make_token(person)}"
    uidb36, _, token = key.partition("-")
    path = reverse("account_reset_password_from_key", kwargs={"uidb36": uidb36, "key": token})
    return f"{settings.PUBLIC_URL}{path}"


def invite(person: Person, invited_by: str) -> str:
    """Mail the person their link, and return it for an installation that sends no mail."""
    link = password_link(person)
    values = {"person": person, "link": link, "msp_name": installation().msp_name}
    send_mail(
        f"{invited_by} invites you to Psaltery",
        render_to_string("accounts/invitation.txt", values),
        None,
        [person.email],
        # The link is shown as well, so that a broken mail server stops no invitation.
        fail_silently=True,
    )
    return link


@transaction.atomic
def change_person(person: Person, *, name: str, role: Role, is_active: bool) -> None:
    """Change what an administrator may; refused where no administrator would remain."""
    # Locked: two administrators who step down at the same time must not leave none.
    others = Person.objects.select_for_update().filter(role=Role.ADMIN, is_active=True)
    stays = role == Role.ADMIN and is_active
    if not stays and not others.exclude(pk=person.pk).exists():
        raise Refused(f"{person.name} is the only administrator. Make somebody else one first.")
    person.name, person.role, person.is_active = name, role, is_active
    person.save(update_fields=["name", "role", "is_active"])
    may = "may sign in" if is_active else "may not sign in any more"
    record_change(f"{person.email} is {role.label.lower()} and {may}.", operation="person_changed")


def change_password(person: Person, password: str) -> None:
    """Set a password; every session of the person ends with it."""
    person.set_password(password)
    person.save(update_fields=["password"])
    record_change(f"The password of {person.email} was set.", operation="password_set")


def validate_password(password: str, person: Person | None = None) -> None:
    """Raise Django's ValidationError with every reason why the password is too weak."""
    get_adapter().clean_password(password, user=person)


def issue_token(
    person: Person, name: str, scopes: Sequence[Scope], days: int | None = None
) -> tuple[ApiToken, str]:
    """Make an API token; the key is returned this once and never again."""
    wanted = highest(scopes)
    if not person.may(SCOPE_ROLES[wanted]):
        raise Refused(f"Your role does not allow the scope “{wanted.label}”.")
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        person=person,
        name=name,
        # Four random characters tell keys apart, and leave far too many to guess.
        prefix=key[:SHOWN_OF_KEY],
        key_hash=secret_hash(key),
        scopes=[str(scope) for scope in scopes],
        expires_at=now() + timedelta(days=days) if days else None,
    )
    record_change(f"API token “{name}” was made for {person.email}.", operation="token_issued")
    return token, key


SCOPE_ROLES = {Scope.READ: Role.VIEWER, Scope.WRITE: Role.BOOKKEEPER, Scope.ADMIN: Role.ADMIN}


def highest(scopes: Sequence[Scope]) -> Scope:
    """The scope that includes all the others."""
    return max(scopes, key=list(Scope).index)


def revoke_token(token: ApiToken) -> None:
    """End a token at once; its row stays, for those who ask what used it."""
    if token.revoked_at is None:
        token.revoked_at = now()
        token.save(update_fields=["revoked_at"])
        record_change(f"API token “{token.name}” was revoked.", operation="token_revoked")


def token_for(key: str, needed: Scope) -> ApiToken | None:
    """The live token with this key that reaches the scope, or None. Notes when it was last used.

    The owner's role limits it as well: a token never outlives the right it was made with.
    """
    # Looked up by its hash: no comparison of keys whose time could be measured.
    token = ApiToken.objects.select_related("person").filter(key_hash=secret_hash(key)).first()
    moment = now()
    if token is None or token.revoked_at or (token.expires_at and token.expires_at <= moment):
        return None
    # The role is asked at every use: who is demoted takes their tokens down with them.
    reached = SCOPE_ROLES[highest([Scope(scope) for scope in token.scopes])]
    if not reached.reaches(SCOPE_ROLES[needed]) or not token.person.may(SCOPE_ROLES[needed]):
        return None
    # Once a minute is enough to know; a program may call a hundred times a second.
    if token.last_used_at is None or moment - token.last_used_at > LAST_USED_STEP:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=moment)
    return token
