"""Pages: what I am told, channels, one rule, and the history of messages."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from psaltery.accounts.access import may_admin, may_view, person_of
from psaltery.accounts.models import Person, Role
from psaltery.notify import mail, outbox, queries, service, wording
from psaltery.notify.forms import ChannelForm, RuleForm
from psaltery.notify.models import Message, Recipient, Rule
from psaltery.web.format import badge
from psaltery.web.lists import Choice, Column, Empty, ListPage

STATE_TONES = {
    "booked": "info",
    "sending": "info",
    "sent": "good",
    "uncertain": "warn",
    "failed": "bad",
    "dropped": "plain",
}
_SHOWN = 5


def _crumbs(viewer: Person, *more: tuple[str, str]) -> list[tuple[str, str]]:
    settings = ("Settings", reverse("accounts:settings"))
    profile = ("Your profile", reverse("accounts:profile"))
    return [settings if viewer.may(Role.ADMIN) else profile, *more]


def _below(viewer: Person, *more: tuple[str, str]) -> list[tuple[str, str]]:
    return _crumbs(viewer, ("Notifications", reverse("notify:index")), *more)


@may_view
def index(request: HttpRequest) -> HttpResponse:
    """What I am told, and where."""
    viewer = person_of(request)
    mine = service.recipient_of(viewer)
    values = {
        "title": "Notifications",
        "crumbs": _crumbs(viewer),
        "tab": "notifications",
        "recipient": mine,
        "rules": _lines(mine),
        "zone": queries.zone_of(mine),
        "has_mail_server": mail.is_set_up(),
        "last": mine.messages.order_by("-booked_at")[:_SHOWN],
        "channels": _channels() if viewer.may(Role.ADMIN) else [],
        "others": _others(viewer) if viewer.may(Role.ADMIN) else [],
    }
    return render(request, "notify/index.html", values)


def _lines(recipient: Recipient) -> list[dict[str, Any]]:
    rules = recipient.rules.prefetch_related("organisations")
    return [{"rule": one, "when": wording.when(one), "what": wording.what(one)} for one in rules]


def _channels() -> list[Recipient]:
    return list(Recipient.objects.filter(person=None).order_by("name").prefetch_related("rules"))


def _others(viewer: Person) -> QuerySet[Recipient]:
    """Other people who do not get what they should: an administrator can help them."""
    failing = Recipient.objects.exclude(failure="").filter(person__is_active=True)
    return failing.exclude(person=viewer).select_related("person")


def _reached(request: HttpRequest, number: int) -> Recipient:
    """A recipient whose rules the viewer may change: their own; a channel, for administrators."""
    viewer = person_of(request)
    recipient = get_object_or_404(Recipient.objects.select_related("person"), pk=number)
    if recipient.person == viewer or (recipient.person is None and viewer.may(Role.ADMIN)):
        return recipient
    # Not a refusal: that would tell which numbers exist.
    raise Http404


def _home(recipient: Recipient) -> str:
    if recipient.person:
        return reverse("notify:index")
    return reverse("notify:channel", args=[recipient.pk])


@may_view
@require_POST
def test(request: HttpRequest, number: int) -> HttpResponse:
    """Send a test, and say at once what became of it."""
    recipient = _reached(request, number)
    # The backend for want of a server writes to the log, which would look like success.
    if recipient.person and not mail.is_set_up():
        messages.error(request, "No mail server is set: see PSALTERY_EMAIL_HOST in the settings.")
        return redirect(_home(recipient))
    # In the request, not by the worker: whoever asked waits to see it arrive.
    sent = outbox.send_trial(recipient)
    if sent.state == Message.State.SENT:
        messages.success(request, f"The test was sent to {recipient.where}.")
    else:
        messages.error(request, f"The test was not sent. {sent.why}")
    return redirect(_home(recipient))


@may_view
@require_POST
def pause(request: HttpRequest, number: int) -> HttpResponse:
    """Be told nothing for a while, or go on."""
    recipient = _reached(request, number)
    service.pause(recipient, not recipient.paused)
    word = "go on" if recipient.paused else "are paused"
    messages.success(request, f"Notifications to {recipient} {word}.")
    return redirect(_home(recipient))


# Rules


@may_view
def add_rule(request: HttpRequest, number: int) -> HttpResponse:
    """One more rule for a recipient."""
    return _rule_page(request, _reached(request, number), None)


@may_view
def rule(request: HttpRequest, number: int) -> HttpResponse:
    """Change a rule."""
    shown = get_object_or_404(Rule, pk=number)
    return _rule_page(request, _reached(request, shown.recipient_id), shown)


def _rule_page(request: HttpRequest, recipient: Recipient, shown: Rule | None) -> HttpResponse:
    form = RuleForm(recipient, shown, request.POST or None)
    if request.method == "POST" and form.is_valid():
        service.save_rule(recipient, form.values(), list(form.cleaned_data["organisations"]), shown)
        messages.success(request, f"Saved. It concerns what opens from now on for {recipient}.")
        return redirect(_home(recipient))
    crumbs = [] if recipient.person else [(str(recipient), _home(recipient))]
    values = {
        "title": "Change a rule" if shown else "Add a rule",
        "crumbs": _below(person_of(request), *crumbs),
        "form": form,
        "rule": shown,
        "recipient": recipient,
        "back": _home(recipient),
        "zone": queries.zone_of(recipient),
    }
    return render(request, "notify/rule.html", values)


@may_view
@require_POST
def remove_rule(request: HttpRequest, number: int) -> HttpResponse:
    """End a rule."""
    shown = get_object_or_404(Rule, pk=number)
    recipient = _reached(request, shown.recipient_id)
    service.remove_rule(shown)
    messages.success(request, "The rule is removed.")
    return redirect(_home(recipient))


# Channels


@may_admin
def add_channel(request: HttpRequest) -> HttpResponse:
    """Add a channel of Slack or Teams."""
    form = ChannelForm(data=request.POST or None)
    if request.method == "POST" and form.is_valid():
        added = form.add()
        messages.success(request, f"{added.name} is added. Send it a test.")
        return redirect("notify:channel", added.pk)
    values = {
        "title": "Add a channel",
        "crumbs": _below(person_of(request)),
        "form": form,
        "back": reverse("notify:index"),
    }
    return render(request, "notify/channel_form.html", values)


@may_admin
def channel(request: HttpRequest, number: int) -> HttpResponse:
    """One channel: its rules, its last messages, its address."""
    shown = get_object_or_404(Recipient, pk=number, person=None)
    form = ChannelForm(shown, request.POST or None)
    if request.method == "POST" and form.is_valid():
        service.change_channel(shown, form.cleaned_data["name"], form.cleaned_data["address"])
        messages.success(request, "The channel is saved.")
        return redirect("notify:channel", shown.pk)
    values = {
        "title": Recipient.objects.get(pk=number).name,
        "crumbs": _below(person_of(request)),
        "form": form,
        "recipient": shown,
        "rules": _lines(shown),
        "zone": queries.zone_of(shown),
        "last": shown.messages.order_by("-booked_at")[:_SHOWN],
    }
    return render(request, "notify/channel.html", values)


@may_admin
@require_POST
def remove_channel(request: HttpRequest, number: int) -> HttpResponse:
    """End a channel."""
    shown = get_object_or_404(Recipient, pk=number, person=None)
    service.remove_channel(shown)
    messages.success(request, f"{shown.name} is removed.")
    return redirect("notify:index")


# History


def _messages(viewer: Person) -> QuerySet[Message]:
    """Messages that a person may read: their own; administrators read all."""
    rows = Message.objects.select_related("recipient__person")
    return rows if viewer.may(Role.ADMIN) else rows.filter(recipient__person=viewer)


def message_state(row: Message) -> SafeString:
    """The badge of a message's state."""
    return badge(row.get_state_display().capitalize(), STATE_TONES[row.state])


@may_view
def messages_sent(request: HttpRequest) -> HttpResponseBase:
    """Everything that was told, the newest first."""
    viewer = person_of(request)
    page = ListPage(
        _messages(viewer),
        title="Messages",
        noun="messages",
        columns=[
            Column("subject", "Message", link=_message_address, value=_titled, detail="why"),
            Column("recipient", "To", value=lambda row: str(row.recipient)),
            Column("state", "State", html=message_state, value=lambda row: row.state),
            Column("get_kind_display", "Kind", phone=False, value=lambda r: r.get_kind_display()),
            Column("tries", "Tries", kind="number", phone=False),
            Column("booked_at", "Booked", kind="when", sort="booked_at"),
            Column("sent_at", "Sent", kind="when", phone=False),
        ],
        search=["subject"],
        filters=[
            Choice("state", "State", Message.State.choices),
            Choice("kind", "Kind", Message.Kind.choices),
        ],
        order="-booked_at",
        empty=Empty(
            "Nothing was told yet",
            "Messages appear here with what became of them.",
            icon="message",
            action="See your rules",
            url=reverse("notify:index"),
        ),
        crumbs=_below(viewer),
    )
    return page.respond(request)


def _titled(row: Message) -> str:
    return row.subject or f"{row.get_kind_display()}, not written yet"


def _message_address(row: Message) -> str:
    return reverse("notify:message", args=[row.pk])


@may_view
def message(request: HttpRequest, number: int) -> HttpResponse:
    """One message: its text, what it told, what became of it."""
    viewer = person_of(request)
    shown = get_object_or_404(_messages(viewer), pk=number)
    values = {
        "title": _titled(shown),
        "crumbs": _below(viewer, ("Messages", reverse("notify:messages"))),
        "message": shown,
        "state": message_state(shown),
        "notices": shown.notices.select_related("card").order_by("pk"),
        "may_repeat": shown.state in (Message.State.FAILED, Message.State.UNCERTAIN),
    }
    return render(request, "notify/message.html", values)


@may_view
@require_POST
def send_again(request: HttpRequest, number: int) -> HttpResponse:
    """Send a failed or uncertain message once more."""
    shown = get_object_or_404(_messages(person_of(request)), pk=number)
    if outbox.send_again(shown):
        messages.success(request, "It is sent again within half a minute.")
    else:
        messages.error(request, "It is neither failed nor uncertain any more.")
    return redirect("notify:message", shown.pk)
