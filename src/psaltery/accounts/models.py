"""The people of an installation, their API tokens, and the installation's own name."""

from __future__ import annotations

from typing import Any, ClassVar
from zoneinfo import available_timezones

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone


class Role(models.TextChoices):
    """What a person may do; each role may do all that the ones before it may."""

    VIEWER = "viewer", "Viewer"
    BOOKKEEPER = "bookkeeper", "Bookkeeper"
    ADMIN = "admin", "Administrator"

    def reaches(self, needed: Role) -> bool:
        """True when this role may do what `needed` may."""
        # The order of the members is the ladder: a new role belongs in its place among them.
        order = list(Role)
        return order.index(self) >= order.index(needed)


class Theme(models.TextChoices):
    AUTO = "auto", "Same as my device"
    LIGHT = "light", "Light"
    DARK = "dark", "Dark"


def is_time_zone(name: str) -> None:
    """Raise ValidationError unless `name` is an IANA time zone known to this machine."""
    if name not in available_timezones():
        raise ValidationError(
            f"{name} is not a time zone. Choose one such as Australia/Sydney.", code="time_zone"
        )


class PersonManager(BaseUserManager["Person"]):
    """Makes people; addresses are kept in lower case, so that one address is one person."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> Person:
        """Store one person. Without a password they can't sign in until they set one."""
        person = self.model(email=email.strip().lower(), **fields)
        person.set_password(password)
        person.save(using=self._db)
        return person

    def get_by_natural_key(self, username: str | None) -> Person:
        """The person with this e-mail address, whatever its case."""
        return self.get(email=(username or "").strip().lower())


class Person(AbstractBaseUser):
    """Somebody who signs in, by e-mail address."""

    email = models.EmailField("E-mail address", unique=True)
    name = models.CharField("Name", max_length=120)
    role = models.CharField("Role", max_length=12, choices=Role.choices, default=Role.VIEWER)
    time_zone = models.CharField(
        "Time zone", max_length=64, default="UTC", validators=[is_time_zone]
    )
    theme = models.CharField("Theme", max_length=5, choices=Theme.choices, default=Theme.AUTO)
    is_active = models.BooleanField("May sign in", default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[PersonManager] = PersonManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["name"]

    class Meta:
        db_table = "people"
        verbose_name = "person"
        verbose_name_plural = "people"
        constraints = [
            # Lower case is the manager's promise; this holds also for what goes round it.
            models.UniqueConstraint(Lower("email"), name="people_email_any_case"),
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values), name="people_role_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.email

    def get_full_name(self) -> str:
        """The name, for libraries that ask for it in Django's way."""
        return self.name

    @property
    def initials(self) -> str:
        """One or two letters for the picture of the person."""
        words = self.name.split() or [self.email]
        return "".join(word[0] for word in (words[0], *words[1:][-1:])).upper()

    def may(self, needed: Role) -> bool:
        """True when this person may do what the role `needed` may."""
        return self.is_active and Role(self.role).reaches(needed)


class Scope(models.TextChoices):
    """What an API token may do; never more than its owner's role allows."""

    READ = "read", "Read everything"
    WRITE = "write", "Read, and act: sync, map, repair"
    ADMIN = "admin", "All of it, with connections and people"


class ApiToken(models.Model):
    """A key for programs. Only its SHA-256 is kept: enough for a key of 256 random bits."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField("Name", max_length=80)
    # The first characters, so that a person can tell which key a program holds.
    prefix = models.CharField(max_length=16)
    key_hash = models.CharField(max_length=64, unique=True)
    scopes = ArrayField(models.CharField(max_length=8, choices=Scope.choices), default=list)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "api_tokens"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class Installation(models.Model):
    """What this installation calls itself, and its defaults: the one row of its table."""

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY, editable=False)
    msp_name = models.CharField("Name of your company", max_length=120, default="Psaltery")
    time_zone = models.CharField(
        "Time zone of new people", max_length=64, default="UTC", validators=[is_time_zone]
    )
    # Null keeps the audit log for ever.
    audit_retention_days = models.PositiveSmallIntegerField(
        "Days to keep the audit log",
        null=True,
        blank=True,
        default=365,
        validators=[MinValueValidator(30), MaxValueValidator(365)],
    )

    class Meta:
        db_table = "installation"
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="installation_has_one_row")
        ]

    def __str__(self) -> str:
        return self.msp_name
