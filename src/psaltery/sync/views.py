"""The page of an organisation's settings: what is posted and how, when it is read, its calls."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from psaltery.accounts.access import may_admin, may_view, may_write, person_of
from psaltery.accounts.models import Role
from psaltery.adapters import registry
from psaltery.adapters.errors import BadSettings
from psaltery.connections import service
from psaltery.connections.models import Feed, Organisation
from psaltery.posting.models import Posting
from psaltery.sync import organisations
from psaltery.sync.forms import FEED, POLICY, OrganisationForm


@may_view
def organisation(request: HttpRequest, number: int) -> HttpResponseBase:
    """What an organisation wants; administrators change it."""
    row = _organisation(number)
    return _save(request, number) if request.method == "POST" else _page(request, row)


def _organisation(number: int) -> Organisation:
    rows = Organisation.objects.select_related("connection")
    return get_object_or_404(rows, pk=number, chosen=True)


@may_admin
def _save(request: HttpRequest, number: int) -> HttpResponse:
    row = _organisation(number)
    form = OrganisationForm(request.POST, row, _feeds(row))
    if not form.is_valid():
        return _page(request, row, form)
    try:
        changed = organisations.change(row, form.wanted())
    except BadSettings as failure:
        name = failure.which if failure.which in form.fields else f"{FEED}{failure.which}"
        form.add_error(name if name in form.fields else None, str(failure))
        return _page(request, row, form)
    messages.success(request, _sentence(changed))
    return redirect("sync:organisation", row.pk)


def _sentence(changed: organisations.Changed) -> str:
    if not changed.words:
        return "Nothing was changed."
    words = f"Saved: {'; '.join(changed.words)}."
    if not changed.released:
        return words
    many = (
        "1 held document goes"
        if changed.released == 1
        else f"{changed.released:,} held documents go"
    )
    return f"{words} {many} again."


def _feeds(row: Organisation) -> list[Feed]:
    """In the manifest's order."""
    order = [spec.name for spec in registry.manifest(row.connection.kind).feeds]
    feeds = [feed for feed in row.feeds.all() if feed.name in order]
    return sorted(feeds, key=lambda feed: order.index(feed.name))


def _page(
    request: HttpRequest, row: Organisation, form: OrganisationForm | None = None
) -> HttpResponse:
    feeds = _feeds(row)
    form = form or OrganisationForm(None, row, feeds)
    connection = row.connection
    waiting = Posting.objects.filter(organisation=row, state=Posting.State.WAITING)
    values: dict[str, Any] = {
        "title": f"Settings of {row.name}",
        "crumbs": [
            ("Connections", reverse("connections:index")),
            (connection.name, reverse("connections:detail", args=[connection.pk])),
        ],
        "organisation": row,
        "form": form,
        "policy": [form[name] for name in POLICY if name in form.fields],
        "feeds": [(feed, form[f"{FEED}{feed.name}"]) for feed in feeds],
        "per_minute": form["per_minute"],
        "waiting": waiting.count(),
        "writes": person_of(request).may(Role.ADMIN),
        "pauses": person_of(request).may(Role.BOOKKEEPER),
    }
    return render(request, "sync/organisation.html", values)


@may_write
@require_POST
def pause(request: HttpRequest, number: int) -> HttpResponse:
    """Pause or resume an organisation."""
    row = _organisation(number)
    service.pause(row, not row.paused)
    word = "paused" if row.paused else "resumed"
    messages.success(request, f"{row.name} is {word}.")
    return redirect("sync:organisation", row.pk)
