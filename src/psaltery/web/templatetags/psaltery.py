"""The components of pages, as template tags: `{% load psaltery %}`. README.md shows each in use."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django import template
from django.forms import BoundField, CheckboxInput, CheckboxSelectMultiple, RadioSelect, Select
from django.template import Context
from django.template.loader import render_to_string
from django.utils.html import format_html, format_html_join, json_script
from django.utils.safestring import SafeString
from django.utils.text import slugify

from psaltery.accounts import queries
from psaltery.web import format as write
from psaltery.web.banners import banners as current_banners
from psaltery.web.menu import menu as current_menu

register = template.Library()


@register.simple_tag
def icon(name: str, classes: str = "", label: str = "") -> SafeString:
    """`{% icon "home" %}`: one icon; give a label where no text stands beside it."""
    return write.icon(name, classes, label)


@register.simple_tag
def money(amount: Decimal | None, currency: str = "", places: int | None = None) -> SafeString:
    """`{% money invoice.total invoice.currency %}`."""
    return write.money(amount, currency, places)


@register.simple_tag
def when(moment: datetime | None) -> SafeString:
    """`{% when run.finished_at %}`: relative, exact on hover."""
    return write.when(moment)


@register.simple_tag
def day(value: date | None) -> SafeString:
    """`{% day invoice.date %}`."""
    return write.day(value)


@register.simple_tag
def state(name: str) -> SafeString:
    """`{% state "held" %}`: a badge of the one vocabulary; other words are refused."""
    return write.state(name)


@register.simple_tag
def badge(text: str, tone: str = "plain") -> SafeString:
    """`{% badge "Invited" "info" %}`: for words beside the states. Tones: good, info, warn, bad."""
    return write.badge(text, tone)


@register.simple_tag
def count(number: int | None) -> str:
    """`{% count total %}`: 48,112."""
    return "–" if number is None else write.count_text(number)


@register.inclusion_tag("web/parts/menu.html", takes_context=True)
def menu(context: Context) -> dict[str, Any]:
    """The entries of the sidebar that this person may open."""
    request = context["request"]
    return {"entries": current_menu(request), "request": request}


@register.inclusion_tag("web/parts/banners.html", takes_context=True)
def banners(context: Context) -> dict[str, Any]:
    """What concerns everybody now, such as a connection that needs reconnecting."""
    return {"banners": current_banners(context["request"])}


@register.simple_tag
def msp_name() -> str:
    """The name of the company whose installation this is."""
    return queries.installation().msp_name


@register.inclusion_tag("web/parts/stat.html")
def stat(
    label: str, value: Any, url: str = "", icon: str = "", tone: str = "", detail: str = ""
) -> dict[str, Any]:
    """One figure with its name; `url` leads to the rows behind it. Tones: good, warn, bad."""
    return {
        "label": label,
        "value": write.count_text(value) if isinstance(value, int) else value,
        "url": url,
        "icon": icon,
        "tone": tone,
        "detail": detail,
    }


@register.inclusion_tag("web/parts/empty.html")
def empty_page(
    title: str, text: str, icon: str = "inbox", action: str = "", url: str = ""
) -> dict[str, Any]:
    """What an empty page says: what will appear, and what to do."""
    return {"title": title, "text": text, "icon": icon, "action": action, "url": url}


@register.inclusion_tag("web/parts/progress.html")
def progress(
    label: str, done: int, total: int | None = None, detail: str = "", tone: str = ""
) -> dict[str, Any]:
    """A bar with its count; without a total it says how many are done. Tones: good, warn, bad."""
    shown = write.count_text(done)
    if total:
        shown = f"{shown} / {write.count_text(total)}"
    return {
        "label": label,
        "done": done,
        "total": total,
        "count": f"{shown} · {detail}" if detail else shown,
        "tone": tone,
    }


@register.simple_tag
def chart(name: str, options: dict[str, Any], label: str, size: str = "md") -> SafeString:
    """A chart of `psaltery.web.charts`; `label` says in words what it shows. Sizes: sm, md, lg."""
    key = f"chart-{slugify(name)}"
    return format_html(
        '<div class="chart chart-{}" data-chart="{}" role="img" aria-label="{}"></div>{}',
        size,
        key,
        label,
        # Escaped by Django: a customer's name in a chart can't end the script it stands in.
        json_script(options, key),
    )


@register.simple_tag
def copy(value: str, label: str = "Copy") -> SafeString:
    """A button that copies a text, and says that it did."""
    return format_html(
        '<button type="button" class="btn btn-sm" data-copy="{}">{}<span>{}</span></button>',
        value,
        write.icon("copy"),
        label,
    )


@register.simple_block_tag(takes_context=True)
def confirm(
    context: Context,
    content: str,
    name: str,
    url: str,
    button: str,
    title: str,
    action: str,
    icon: str = "",
    tone: str = "danger",
    classes: str = "btn",
) -> SafeString:
    """A button that asks first. The content says what will happen, in numbers; it may hold fields.

    `button` opens the question `title`; `action` is the word on the button that does it, a POST.
    """
    # Named by the caller, not counted: an htmx answer that renews a part keeps the same ids.
    values = {
        "key": f"dialog-{slugify(name)}",
        "url": url,
        "button": button,
        "title": title,
        "action": action,
        "icon": icon,
        "tone": tone,
        "classes": classes,
        "content": content,
    }
    return render_to_string("web/parts/confirm.html", values, request=context.get("request"))


@register.inclusion_tag("web/parts/field.html")
def field(bound: BoundField) -> dict[str, Any]:
    """One form field: label, control, help, and what is wrong with it."""
    widget = bound.field.widget
    kind = "check" if isinstance(widget, CheckboxInput) else "control"
    if isinstance(widget, RadioSelect | CheckboxSelectMultiple):
        kind = "group"
    return {"field": bound, "kind": kind, "control": _control(bound, kind)}


@register.inclusion_tag("web/parts/fields.html")
def fields(form: Any) -> dict[str, Any]:
    """All fields of a form, with what is wrong with the form as a whole above them."""
    return {"form": form}


def _group(bound: BoundField) -> SafeString:
    """One line a choice; Django's own markup would dress the box around them as a choice too."""
    bound.field.widget.attrs["class"] = "form-check-input"
    line = '<label class="form-check">{}<span class="form-check-label">{}</span></label>'
    return format_html_join("", line, ((one.tag(), one.choice_label) for one in bound))


def _control(bound: BoundField, kind: str) -> SafeString:
    if kind == "group":
        return _group(bound)
    css = "form-select" if isinstance(bound.field.widget, Select) else "form-control"
    if kind == "check":
        css = "form-check-input"
    described = [f"{bound.auto_id}_help"] if bound.help_text else []
    attributes: dict[str, Any] = {"class": f"{css} {bound.field.widget.attrs.get('class', '')}"}
    if bound.errors:
        attributes["class"] += " is-invalid"
        # Said to screen readers too, which don't see the red border.
        attributes["aria-invalid"] = "true"
        described.append(f"{bound.auto_id}_error")
    if described:
        attributes["aria-describedby"] = " ".join(described)
    return bound.as_widget(attrs=attributes)
