"""What every request knows of its person: their time zone, and who acts in the audit log."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from psaltery.accounts.models import Person
from psaltery.audit.actor import acting_as

Answer = Callable[[HttpRequest], HttpResponseBase]


def person_of_request(get_response: Answer) -> Answer:
    """Show times in the person's zone, and put their address on what the request changes."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        person = request.user
        if not isinstance(person, Person):
            return get_response(request)
        # By address, not by id: the audit log must name people long after their row has changed.
        with timezone.override(ZoneInfo(person.time_zone)), acting_as(person.email):
            return get_response(request)

    return answer
